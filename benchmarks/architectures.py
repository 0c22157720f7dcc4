"""What is certified of small trained networks of the kinds that people use: the share of images at a radius where attacks succeed.

    python benchmarks/architectures.py [--images 100] [--only NAME]

needs scikit-learn and the networks of tests/shared. Each is trained on 1,400 of scikit-learn's digits (8 × 8 pixels), with FGSM and
weight decay, in seconds. The radius in ℓ∞ is the smallest of a list at which APGD changes the prediction of 5 % of the correctly
classified images of the other digits. ``crown`` certifies at that radius; for the vision transformer it is ``dual``, at less cost,
on a tenth of the images. The script fails where an image is both attacked and certified. It prints a table in Markdown; seconds are
process CPU time on one thread, with the recording of the network.
"""

import argparse
import sys
import time
from pathlib import Path

import attrs
import torch
from torch import nn

import inradius

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "shared"))
from people_networks import NETWORKS

RADII = (0.004, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1)
SHARE = 0.05


@attrs.frozen
class Recipe:
    """How a network is trained and certified. eps: the radius of FGSM; certified: the share of the images that are certified."""

    eps: float = 0.05
    decay: float = 3e-3
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam
    rate: float = 1e-2
    epochs: int = 30
    certifier: str = "crown()"
    certified: float = 1.0


RECIPES = {
    "vision transformer": Recipe(0.02, 1.0, torch.optim.AdamW, 5e-3, 15, "dual()", 0.1),
    "transformer encoder layer": Recipe(rate=5e-3),
    "ResNet with group norm": Recipe(0.01),
    "generator and controller": Recipe(0.02, 1e-4),
}


def digits():
    """Inputs and labels for training and for the test, twice (N, 1, 8, 8) and (N,)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(0))
    x = (torch.tensor(found.images, dtype=torch.float32)[:, None] / 16)[order]
    y = torch.tensor(found.target)[order]
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


def components(train, test):
    """The first eight principal components of images, scaled to [0, 1] on the training images, two of (N, 8)."""
    middle = train.flatten(1).mean(0)
    directions = torch.linalg.svd(train.flatten(1) - middle, full_matrices=False)[2][:8]
    found = [(images.flatten(1) - middle) @ directions.T for images in (train, test)]
    return [(0.5 + part / (2 * found[0].abs().amax())).clamp(0, 1) for part in found]


def loss_of(name, outputs, labels):
    """The cross-entropy; some networks give probabilities or their logarithms."""
    if name == "mean of three softmaxes":
        outputs = (outputs + 1e-6).log()
    given = ("mean of three softmaxes", "network ending in log_softmax")
    return (nn.functional.nll_loss if name in given else nn.functional.cross_entropy)(outputs, labels)


def trained(name, x, y):
    """The network after training with FGSM from random starts, and the seconds that it took."""
    torch.manual_seed(0)
    recipe, model, start = RECIPES.get(name, Recipe()), NETWORKS[name](), time.process_time()
    optimizer = recipe.optimizer(model.parameters(), weight_decay=recipe.decay)
    steps = recipe.epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps)
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(x)).split(64):
            inputs, labels = x[rows], y[rows]
            delta = ((2 * torch.rand_like(inputs) - 1) * recipe.eps).requires_grad_()
            (gradient,) = torch.autograd.grad(loss_of(name, model(inputs + delta), labels), delta)
            delta = (delta.detach() + 1.25 * recipe.eps * gradient.sign()).clamp(-recipe.eps, recipe.eps)
            optimizer.zero_grad()
            loss_of(name, model((inputs + delta).clamp(0, 1)), labels).backward()
            optimizer.step()
            schedule.step()
    return model.eval(), time.process_time() - start


def attacked(model, x, y):
    """The smallest radius at which enough images are attacked, and which are, (B,)."""
    attack = inradius.make("apgd(steps=40, objective=margin())", inradius.Attack)
    for radius in RADII:
        found = attack(model, x, y, inradius.make(f"linf(eps={radius})", inradius.ThreatModel)).success
        if float(found.float().mean()) >= SHARE:
            break
    return radius, found


def row(name, count):
    """One line of the table."""
    (x, y), (test_x, test_y) = digits()
    if name == "generator and controller":
        x, test_x = components(x, test_x)
    model, seconds = trained(name, x, y)
    x, y = test_x[:count], test_y[:count]
    with torch.no_grad():
        right = model(x).argmax(1) == y
    x, y = x[right], y[right]
    radius, broken = attacked(model, x, y)
    recipe = RECIPES.get(name, Recipe())
    some = max(1, round(recipe.certified * len(x)))
    certifier, threat = inradius.make(recipe.certifier, inradius.Certifier), inradius.make(f"linf(eps={radius})")
    start = time.process_time()
    proved = torch.cat([certifier(model, x[i : i + 10], y[i : i + 10], threat).certified for i in range(0, some, 10)])
    cost = (time.process_time() - start) / len(proved)
    if bool((proved & broken[: len(proved)]).any()):
        raise AssertionError(f"{name}: an attacked image is certified")
    shares = (float(part.float().mean()) for part in (right, broken, proved))
    accuracy, found, certified = (f"{100 * share:.0f} %" for share in shares)
    return (
        f"| {name} | {seconds:.0f} s | {accuracy} | {radius} | {found} | {certified} of {len(proved)} | {cost:.3f} s |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="test images")
    parser.add_argument("--only", default="", help="a part of the network's name")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | training | accuracy | ℓ∞ radius | attacked | certified | CPU time an image |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in NETWORKS:
        if given.only in name:
            print(row(name, given.images), flush=True)


if __name__ == "__main__":
    main()
