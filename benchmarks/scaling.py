"""What bounds cost as a network grows: backward rows for every neuron beside random projections.

    python benchmarks/scaling.py

Convolutional networks on one 1 × 28 × 28 image, two hidden convolutions whose channels grow; processor time on one thread
for the bounds of one image. Slopes of the cost in the number of hidden units are fitted on a log-log scale at the end: about 2 for
rows of every neuron, about 1 for projections. ``--largest`` runs projections alone on that many hidden units;
``--residual`` bounds a residual network of 10,340 ReLUs on 3 × 32 × 32 images, for one image and for four at once.
"""

import argparse
import math
import resource
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
    arguments.add_argument("--residual", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    if options.residual:
        residual()
        return
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


class Block(nn.Module):
    """Two convolutions beside a skip connection."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x))


def residual() -> None:
    """Seconds an image, and the memory of the process so far."""
    torch.manual_seed(0)
    stem = (nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1))
    net = nn.Sequential(*stem, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 10)).eval()
    x, y = torch.rand(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64)
    for eps in (1 / 255, 4 / 255):
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        for spec in ("dual()", "crown()"):
            for count in (1, 4):
                start = time.process_time()
                with torch.no_grad():
                    inradius.make(spec, Certifier).bound(net, x[:count], y[:count], threat)
                spent = (time.process_time() - start) / count
                most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"eps {eps:.4f}  {spec:8} batch {count}: {spent:5.2f} s an image, {most} MiB at most", flush=True)


if __name__ == "__main__":
    main()
