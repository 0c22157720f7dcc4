"""How strong Frank-Wolfe with the exact maximiser is on Wasserstein balls, beside PGD with projections, at equal gradients.

Run by hand, in an environment with mlxtend, with the reference networks:

    INRADIUS_REFERENCE_DATA=FOLDER python benchmarks/wasserstein.py

The network was trained without any defense; the images are the first held-out ones of its own split. Every attack gets
as many gradients an image and one start; ``best of 10`` is the smallest margin of ten Frank-Wolfe runs from random
starts. The gain is what an attack takes off the clean margin, as a share of what the best of 10 takes.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import inradius
from inradius import Attack, Dataset, ThreatModel

RADII = (0.01, 0.05, 0.1, 0.2)
NETWORK = "mnist_small_standard_ours.pth"


def main() -> None:
    """Prints a line for each radius and attack."""
    options = arguments()
    torch.set_num_threads(1)
    model, (x, y) = network(), images(options.images)
    for eps in RADII:
        print(f"\nwasserstein(eps={eps}), kernel 5, p = 1, uncapped, {len(x)} images, {options.steps} gradients each")
        compare(model, x, y, eps, options.steps)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="how many held-out images (%(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="gradients of every attack (%(default)s)")
    return parser.parse_args()


def network() -> nn.Module:
    folder = os.environ.get("INRADIUS_REFERENCE_DATA")
    if folder is None:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference networks")
    model = inradius.make("mnist_small()", nn.Module)
    layers = [layer for layer in model if not isinstance(layer, nn.Identity)]
    state = torch.load(Path(folder) / NETWORK, map_location="cpu", weights_only=True)
    plain = nn.Sequential(*layers)
    plain.load_state_dict(state)
    return plain.eval()


def images(count: int) -> tuple[Tensor, Tensor]:
    """The first images of the 500 that the network was not trained on."""
    everything = inradius.make("mnist5k(split='all')", Dataset)
    rows = torch.randperm(5000, generator=torch.Generator().manual_seed(0))[4500 : 4500 + count]
    order = {int(number): place for place, number in enumerate(everything.index)}
    places = [order[int(row)] for row in rows]
    return everything.inputs[places], everything.labels[places]


def compare(model: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> None:
    exact = inradius.make(f"wasserstein(eps={eps})", ThreatModel)
    sinkhorn = inradius.make(f"wasserstein(eps={eps}, projection='sinkhorn')", ThreatModel)
    options = f"steps={steps}, objective=margin(), keep_maximising=True"
    runs = {
        "frank_wolfe": (exact, f"frank_wolfe({options})"),
        # nine gradients find the three classes that look best, the rest are steps towards them
        "frank_wolfe, 3 classes": (
            exact,
            f"frank_wolfe({options}, classes=3)".replace(f"steps={steps}", f"steps={(steps - 9) // 3}"),
        ),
        "pgd, exact projection": (exact, f"pgd({options}, random_start=False)"),
        "pgd, projected Sinkhorn": (sinkhorn, f"pgd({options}, random_start=False)"),
        "best of 10": (exact, f"frank_wolfe({options}, restarts=10)"),
    }
    found = {name: attacked(model, x, y, threat, spec) for name, (threat, spec) in runs.items()}
    with torch.no_grad():
        clean = margins(model(x), y)
    best = clean - found["best of 10"][0]
    for name, (margin, seconds) in found.items():
        gain = (clean - margin) / best
        standing = int(((margin > 0) & (clean > 0)).sum())
        print(
            f"  {name:24}  standing {standing:4}  gain of the best: mean {gain.mean():.4f}  smallest {gain.min():.4f}  "
            f"CPU s {seconds:7.2f}"
        )


def attacked(model: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel, spec: str) -> tuple[Tensor, float]:
    """The margin that an attack leaves each example, (B,), and the processor time it took."""
    attack = inradius.make(spec, Attack)
    begin = time.process_time()
    found = attack(model, x, y, threat)
    if not bool(found.inside.all()):
        sys.exit(f"{spec} left {threat} on {int((~found.inside).sum())} images")
    return found.margin, time.process_time() - begin


def margins(logits: Tensor, y: Tensor) -> Tensor:
    return inradius.attacks.objective.class_margin(logits, y)


if __name__ == "__main__":
    main()
