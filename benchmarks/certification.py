"""`dual` beside convex_adversarial's DualNetwork: the same bounds, and what they cost.

    python benchmarks/certification.py

needs the package convex-adversarial (install it with --no-deps) and INRADIUS_REFERENCE_DATA, the folder with
mnist_small_linf0.1.pth and mnist_test100.csv. One thread, process CPU time, both in one run and interleaved.
"""

import argparse
import copy
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, ThreatModel

EPS = 0.1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=50)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--lp", type=int, default=10, help="images for dual ≤ LP ≤ PGD (minutes); 0 leaves it out")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    net, x, y = reference_network(), *reference_images(options.images)
    compare_bounds(net, x, y)
    compare_costs(net, x, y, options.repeats)
    if options.lp:
        compare_with_lp(net, x[: options.lp], y[: options.lp])


def compare_bounds(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """Worst margins of the two, image by image."""
    theirs = peer(net)(x, y).amin(1)
    threat = inradius.make(f"linf(eps={EPS})", ThreatModel)
    for spec in ("dual()", "dual(intersect=False)"):
        with torch.no_grad():
            proof = inradius.make(spec, Certifier)(net, x, y, threat)
        gap = proof.lower.amin(1) - theirs
        print(
            f"{spec:24} worst margin minus convex_adversarial's: min {gap.min():+.2e}  mean {gap.mean():+.2e}  "
            f"max {gap.max():+.2e}   certified error {100 * (1 - proof.certified.double().mean()):.1f} % "
            f"against {100 * (theirs <= 0).double().mean():.1f} %"
        )


def compare_costs(net: nn.Module, x: Tensor, y: Tensor, repeats: int) -> None:
    """CPU seconds per image and their ratio, the best of some interleaved repeats."""
    threat, dual, other = inradius.make(f"linf(eps={EPS})", ThreatModel), inradius.make("dual()", Certifier), peer(net)

    def ours(images: Tensor, labels: Tensor) -> object:
        return dual(net, images, labels, threat)

    for size in (1, 10):
        pairs = [(cpu_seconds(ours, x, y, size), cpu_seconds(other, x, y, size)) for _ in range(repeats)]
        best, best_peer = (min(times) / len(x) for times in zip(*pairs, strict=True))
        print(
            f"batch {size:2}: dual {1e3 * best:.1f} ms, convex_adversarial {1e3 * best_peer:.1f} ms an image, "
            f"ratio {best / best_peer:.2f}"
        )


def cpu_seconds(run: Callable[[Tensor, Tensor], object], x: Tensor, y: Tensor, size: int) -> float:
    with torch.no_grad():
        run(x[:size], y[:size])
        start = time.process_time()
        for first in range(0, len(x), size):
            run(x[first : first + size], y[first : first + size])
    return time.process_time() - start


def compare_with_lp(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """dual ≤ LP ≤ PGD margin on a few images, in float64."""
    exact = copy.deepcopy(net).double()
    threat = inradius.make(f"linf(eps={EPS})", ThreatModel)
    attack = inradius.make("pgd(steps=40, keep_maximising=True, objective=margin())", inradius.Attack)
    for image in range(len(x)):
        one, label = x[image : image + 1].double(), y[image : image + 1]
        with torch.no_grad():
            dual, lp = (inradius.make(s, Certifier)(exact, one, label, threat).lower.min() for s in ("dual()", "lp()"))
        reached = attack(exact, one, label, threat).margin[0]
        assert dual <= lp + 1e-9, (dual, lp)
        assert lp <= reached + 1e-9, (lp, reached)
        print(f"image {image}: dual {dual:.4f} ≤ LP {lp:.4f} ≤ PGD {reached:.4f}")


def peer(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """convex_adversarial's lower bounds of the nine margins, boxed inputs, (B, 9)."""
    try:
        from convex_adversarial import DualNetwork
    except ImportError:
        sys.exit("convex_adversarial is not installed; pip install --no-deps convex-adversarial")

    def bounds(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            unit = torch.eye(10)
            value = DualNetwork(net, x, EPS, bounded_input=True)(unit[y][:, None] - unit[None])
        others = torch.arange(10).expand(len(y), -1) != y[:, None]
        return value[others].view(len(y), 9)

    return bounds


def reference_folder() -> Path:
    folder = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not folder:
        sys.exit(
            "INRADIUS_REFERENCE_DATA is not set; it names the folder with mnist_small_linf0.1.pth and mnist_test100.csv"
        )
    return Path(folder)


def reference_network() -> nn.Module:
    net = inradius.make("mnist_small()", nn.Module)
    net.load_state_dict(
        torch.load(reference_folder() / "mnist_small_linf0.1.pth", map_location="cpu", weights_only=True)
    )
    return net.eval()


def reference_images(count: int) -> tuple[Tensor, Tensor]:
    import numpy as np

    table = torch.as_tensor(np.loadtxt(reference_folder() / "mnist_test100.csv", delimiter=",", max_rows=count))
    return (table[:, 1:] / 255).float().view(-1, 1, 28, 28), table[:, 0].long()


if __name__ == "__main__":
    main()
