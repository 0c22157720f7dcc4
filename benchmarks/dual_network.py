"""``dual`` beside the DualNetwork of the package convex_adversarial: worst margins, certified images and cost.

    python benchmarks/dual_network.py --peer FOLDER

needs INRADIUS_REFERENCE_DATA; FOLDER holds the package convex_adversarial (``pip install --no-deps --target FOLDER
convex-adversarial``, or a checkout of locuslab/convex_adversarial). The published networks, one trained for ℓ∞ 0.1 and one
trained plainly, and the 100 first MNIST test images; the set is the ball within the box of images on both sides. One thread,
process CPU time, the best of several runs that take turns, after one that is not counted; both sides make their bounds from
the network and the images, ours with the analysis of rounding. What is asked for: no worst margin more than 1e-3 lower, and at most
0.45 of the cost.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, ThreatModel

NETWORKS = ("mnist_small_linf0.1.pth", "mnist_small_standard.pth")
RADII = (0.02, 0.1, 0.2, 0.3)
LOWER, COST = 1e-3, 0.45
Run = Callable[[Tensor, Tensor], Tensor]


def folder() -> Path:
    found = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not found:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference networks")
    return Path(found)


def network(name: str) -> nn.Sequential:
    """A published network, in a form that both sides take."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    state = torch.load(folder() / name, map_location="cpu", weights_only=True)
    net.load_state_dict(state["state_dict"][0] if "state_dict" in state else state)
    return net.eval()


def images(count: int) -> tuple[Tensor, Tensor]:
    """The first MNIST test images and their labels."""
    table = torch.as_tensor(np.loadtxt(folder() / "mnist_test100.csv", delimiter=",", max_rows=count))
    return (table[:, 1:] / 255).float().view(-1, 1, 28, 28), table[:, 0].long()


def ours(net: nn.Module, eps: float, claim: str) -> Run:
    """The worst margins by ``dual``, (B,)."""
    certifier = inradius.make("dual()", Certifier)
    threat = inradius.make(f"linf(eps={eps!r})", ThreatModel)
    return lambda x, y: certifier(net, x, y, threat, claim=claim).lower.double().amin(1)


def theirs(net: nn.Module, eps: float) -> Run:
    """The worst margins by the package, (B,)."""
    from convex_adversarial import DualNetwork

    def run(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            unit = torch.eye(10)
            bounds = DualNetwork(net, x, eps, bounded_input=True)(unit[y][:, None] - unit[None])
        others = torch.arange(10).expand(len(y), -1) != y[:, None]
        return bounds[others].view(len(y), 9).double().amin(1)

    return run


def in_parts(run: Run, x: Tensor, y: Tensor, size: int) -> tuple[float, Tensor]:
    """CPU seconds and worst margins of all images, so many at a time."""
    start = time.process_time()
    found = [run(x[first : first + size], y[first : first + size]) for first in range(0, len(x), size)]
    return time.process_time() - start, torch.cat(found)


@attrs.define
class Row:
    """One network, radius and batch."""

    name: str
    eps: float
    size: int
    seconds: dict[str, float]
    worst: dict[str, Tensor]

    @property
    def ratio(self) -> float:
        return self.seconds["ours"] / self.seconds["theirs"]

    @property
    def gain(self) -> Tensor:
        return self.worst["ours"] - self.worst["theirs"]

    def __str__(self) -> str:
        certified = [int((self.worst[side] > 0).sum()) for side in ("theirs", "ours")]
        least, mean = float(self.gain.min()), float(self.gain.mean())
        return (
            f"{self.name:24} {self.eps:5.2f} {self.size:5}   {least:+10.2e} {mean:+10.2e}   {certified[0]:5} {certified[1]:5}   "
            f"{self.seconds['theirs']:8.2f} {self.seconds['ours']:8.2f} {self.ratio:6.2f}"
        )


def compared(name: str, eps: float, size: int, options: argparse.Namespace) -> Row:
    """Both sides on all images."""
    net, (x, y) = network(name), images(options.images)
    runs = {"theirs": theirs(net, eps), "ours": ours(net, eps, options.claim)}
    for run in runs.values():
        run(x[:size], y[:size])
    seconds, worst = dict.fromkeys(runs, float("inf")), {}
    for _ in range(options.repeats):
        for side, run in runs.items():
            spent, worst[side] = in_parts(run, x, y, size)
            seconds[side] = min(seconds[side], spent)
    return Row(name.removesuffix(".pth"), eps, size, seconds, worst)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default="", help="folders to import convex_adversarial from")
    parser.add_argument("--only", default="", help="the networks whose name this is a part of")
    parser.add_argument("--radii", type=float, nargs="+", default=RADII)
    parser.add_argument("--batches", type=int, nargs="+", default=(1, 10))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--claim", default="real", help="real, as the peer's bounds are meant, or float")
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    sys.path[:0] = [part for part in options.peer.split(os.pathsep) if part]
    warnings.simplefilter("ignore")
    print(
        f"{'network':24} {'eps':>5} {'batch':>5}   {'min gain':>10} {'mean gain':>10}   {'certified':>11}   "
        f"{'theirs s':>8} {'ours s':>8} {'ratio':>6}"
    )
    rows = []
    for name in (name for name in NETWORKS if options.only in name):
        for eps in options.radii:
            for size in options.batches:
                rows.append(compared(name, eps, size, options))
                print(rows[-1], flush=True)
    lowest, dearest = min(float(row.gain.min()) for row in rows), max(row.ratio for row in rows)
    print(f"lowest gain {lowest:+.2e}, {'within' if lowest >= -LOWER else 'BELOW'} {-LOWER:g}")
    print(f"largest ratio {dearest:.2f}, {'within' if dearest <= COST else 'ABOVE'} {COST:g}")


if __name__ == "__main__":
    main()
