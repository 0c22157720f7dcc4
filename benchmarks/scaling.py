"""What bounds cost as a network grows: backward rows for every neuron beside random projections.

    python benchmarks/scaling.py

Convolutional networks on one 1 × 28 × 28 image, two hidden convolutions whose channels grow; processor time on one thread
for the bounds of one image. Slopes of the cost in the number of hidden units are fitted on a log-log scale at the end: about 2 for
rows of every neuron, about 1 for projections. ``--largest`` runs projections alone on that many hidden units more.
"""

import argparse
import math
import time

import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, ThreatModel

EPS = 0.01


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--channels", type=int, nargs="+", default=[4, 8, 16, 32])
    arguments.add_argument("--largest", type=int, default=0, help="hidden units for projections alone, as in 1000000")
    arguments.add_argument("--projections", type=int, default=10)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    specs = {
        "rows of every neuron": "dual(intersect=False)",
        "rows of undecided neurons": "dual()",
        "projections": f"projected(projections={options.projections}, estimator='median')",
    }
    units, seconds = [], {name: [] for name in specs}
    print(f"{'hidden units':>12}  " + "  ".join(f"{name:>26}" for name in specs))
    for channels in options.channels:
        net = network(channels)
        units.append(hidden_units(net))
        for name, spec in specs.items():
            seconds[name].append(cost(net, spec))
        print(f"{units[-1]:12}  " + "  ".join(f"{seconds[name][-1]:24.3f} s" for name in specs), flush=True)
    if len(units) > 1:
        print(f"{'exponent':>12}  " + "  ".join(f"{slope(units, seconds[name]):26.2f}" for name in specs))
    if options.largest:
        net = network(max(1, round(options.largest / hidden_units(network(1)))))
        spent = cost(net, specs["projections"])
        print(f"{hidden_units(net):12}  projections alone: {spent:.1f} s")


def network(channels: int) -> nn.Module:
    torch.manual_seed(0)
    wide = 2 * channels
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, wide, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(wide, wide, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(wide * 14 * 14, 10),
    ).eval()


def hidden_units(net: nn.Module) -> int:
    count, z = 0, torch.zeros(1, 1, 28, 28)
    with torch.no_grad():
        for layer in net:  # type: ignore[attr-defined]
            z = layer(z)
            count += z.numel() if isinstance(layer, nn.ReLU) else 0
    return count


def cost(net: nn.Module, spec: str) -> float:
    """Processor seconds of the bounds of one image."""
    x, y = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.tensor([0])
    threat, certifier = inradius.make(f"linf(eps={EPS})", ThreatModel), inradius.make(spec, Certifier)
    start = time.process_time()
    with torch.no_grad():
        lower: Tensor = certifier.bound(net, x, y, threat)
    assert lower.shape == (1, 9)
    return time.process_time() - start


def slope(units: list[int], seconds: list[float]) -> float:
    """The exponent of the cost in the number of hidden units, by least squares."""
    x, y = [math.log(n) for n in units], [math.log(s) for s in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


if __name__ == "__main__":
    main()
