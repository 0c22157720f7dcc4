"""What alpha over all layers adds to alpha over the last one, and what `promise` in `certifier_cascade` leaves out.

    python benchmarks/cascade_promise.py

needs scikit-learn; with INRADIUS_REFERENCE_DATA published networks are measured as well. Fully connected networks of several
depths and widths, as torch initialises them and briefly trained on scikit-learn's digits, at radii around the one at which crown
certifies half of the inputs. Asked for are the examples that the cascade asks for: those that alpha leaves open, and that a
short search does not refute. An example needs the share -b / (m - b), where b < 0 is its worst bound before alpha over all
layers and m its margin at x: `promise` leaves out what needs more than its share. Beside it stands the rule of before, 2.5 times
what alpha over the last layer had gained. One thread, process CPU time; about half an hour.
"""

import argparse
import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.certifiers.cascade import STANDARD
from inradius_bounds.certifiers.refutation import refuted

FACTORS = tuple(0.8 * 1.12**step for step in range(10))
PROMISES = (0.05, 0.1, 0.125, 0.15, 0.2)
# the most that the cascade asks for, whatever the depth
MOST = 0.85
# how many examples are bounded at once
PART = 8
Inputs = tuple[Tensor, Tensor]


@attrs.frozen
class Asked:
    """One example that alpha over all layers is asked for, in a network of ``depth`` hidden layers.

    before, last, every: the worst bound without alpha, with alpha over the last layer, and over all; clean: the margin at x.
    """

    network: str
    depth: int
    clean: float
    before: float
    last: float
    every: float
    seconds: float

    @property
    def certified(self) -> bool:
        """True where alpha over all layers certifies the example."""
        return self.every > 0

    @property
    def share(self) -> float:
        """The gain that a certificate needs, −last, as a share of the largest possible gain, clean − last."""
        return -self.last / (self.clean - self.last)

    @property
    def gain(self) -> float:
        """The gain of alpha over all layers, every − last, divided by that of alpha over the last layer, last − before."""
        return ratio(self.every - self.last, self.last - self.before)

    def promising(self, promise: float) -> bool:
        """True where the cascade with this ``promise`` runs alpha over all layers on the example."""
        return self.share <= min(MOST, promise * (self.depth - 1))

    @property
    def promising_before(self) -> bool:
        """True where the gain that a certificate needs is at most 2.5 times that of alpha over the last layer."""
        return ratio(-self.last, self.last - self.before) <= 2.5


def ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("inf")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=24, help="inputs of each network")
    arguments.add_argument("--depths", type=int, nargs="*", default=[2, 3, 4, 6, 8])
    arguments.add_argument("--widths", type=int, nargs="*", default=[20, 50, 100])
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--convolutions", type=int, default=6, help="inputs of each published network")
    arguments.add_argument("--out", type=Path, help="a file for what was measured of every example")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    found = []
    for name, depth, net, inputs in networks(options):
        part = list(measured(name, depth, net.double(), inputs))
        found += part
        print(line(name, part), flush=True)
        if options.out:
            options.out.write_text(json.dumps([attrs.asdict(each) for each in found]))
    print_rules(found)


def networks(options: argparse.Namespace) -> Iterator[tuple[str, int, nn.Module, Inputs]]:
    """Each network with its name, its number of hidden layers, and inputs in float64."""
    x, y = digits()
    for depth in options.depths:
        for width in options.widths:
            for seed in range(options.seeds):
                for trained in (False, True):
                    net = mlp(depth, width, seed)
                    if trained:
                        train(net, x[options.images :], y[options.images :], seed)
                    kind = "trained" if trained else "initial"
                    yield f"mlp {depth}x{width} {kind}", depth, net, (x[: options.images], y[: options.images])
    if os.environ.get("INRADIUS_REFERENCE_DATA") and options.convolutions:
        yield from published(Path(os.environ["INRADIUS_REFERENCE_DATA"]), options.convolutions)


def digits() -> Inputs:
    """Scikit-learn's digits in an order of their own, (1797, 64) in [0, 1]."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(data.data)[order] / 16, torch.tensor(data.target, dtype=torch.int64)[order]


def mlp(depth: int, width: int, seed: int) -> nn.Sequential:
    """A network with so many hidden layers, as torch initialises it."""
    torch.manual_seed(seed)
    sizes = [64, *[width] * depth]
    layers = [part for wide, narrow in itertools.pairwise(sizes) for part in (nn.Linear(wide, narrow), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10)).double()


def train(net: nn.Module, x: Tensor, y: Tensor, seed: int) -> None:
    """A few epochs of Adam."""
    draw, optimizer = torch.Generator().manual_seed(seed), torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(300):
        index = torch.randint(len(x), (128,), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[index]), y[index]).backward()
        optimizer.step()


def published(folder: Path, count: int) -> Iterator[tuple[str, int, nn.Module, Inputs]]:
    """The networks of the reference folder, and test images in [0, 1]."""
    mnist = pixels(folder / "mnist_test100.csv", count, (1, 28, 28))
    for name in ("mnist_small_linf0.1", "mnist_small_standard_ours"):
        yield name, 3, loaded(convolutional(1, 16, 1568), folder / f"{name}.pth"), mnist
    height, labels = pixels(folder / "cifar10_test100.csv", count, (32, 32, 3))
    cifar = height.permute(0, 3, 1, 2).contiguous(), labels
    for name, net in (("cifar_cnn_a_mix", convolutional(3, 16, 2048)), ("cifar_oval_base", convolutional(3, 8, 1024))):
        yield name, 3, nn.Sequential(Normalise(), loaded(net, folder / f"{name}.pth")), cifar


def convolutional(channels: int, width: int, flat: int) -> nn.Sequential:
    first, second = nn.Conv2d(channels, width, 4, 2, 1), nn.Conv2d(width, 2 * width, 4, 2, 1)
    head = nn.Flatten(), nn.Linear(flat, 100), nn.ReLU(), nn.Linear(100, 10)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *head)


class Normalise(nn.Module):
    """Pixels as the published networks for CIFAR-10 take them."""

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("scale", (0.225, 0.225, 0.225))):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64).view(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


def loaded(net: nn.Module, path: Path) -> nn.Module:
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net


def pixels(path: Path, count: int, shape: tuple[int, ...]) -> Inputs:
    """The first images of a file with a label and pixels from 0 to 255 in each row."""
    rows = torch.tensor([[float(cell) for cell in row.split(",")] for row in path.read_text().split()[:count]])
    return rows[:, 1:].double().view(-1, *shape) / 255, rows[:, 0].long()


@torch.no_grad()
def measured(name: str, depth: int, net: nn.Module, inputs: Inputs) -> Iterator[Asked]:
    """The examples that the cascade would ask alpha over all layers for, at every radius."""
    net = net.eval()
    x, y = inputs
    right = net(x).argmax(1) == y
    # a network as it is initialised is asked for the label that it has
    x, y = (x, net(x).argmax(1)) if float(right.double().mean()) < 0.5 else (x[right], y[right])
    middle = threshold(net, x, y)
    for factor in FACTORS:
        threat = inradius.make(f"linf(eps={middle * factor})", ThreatModel)
        before = torch.stack([bounds(member, net, x, y, threat) for member in STANDARD[:-2]]).amax(0)
        after = torch.maximum(before, bounds(STANDARD[-2], net, x, y, threat))
        prop = Property.margins(y, 10, dtype=x.dtype)
        left = ((after.amin(1) <= 0) & ~refuted(net, x, threat, prop, 20)).nonzero().squeeze(1)
        if not len(left):
            continue
        start = time.process_time()
        best = torch.maximum(after[left], bounds(STANDARD[-1], net, x[left], y[left], threat)).amin(1)
        seconds = (time.process_time() - start) / len(left)
        clean = prop.weakest(prop.values(net(x)))[left]
        numbers = zip(
            *(side.tolist() for side in (clean, before[left].amin(1), after[left].amin(1), best)), strict=True
        )
        yield from (Asked(name, depth, *each, seconds) for each in numbers)


def bounds(member: Certifier, net: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel) -> Tensor:
    """The bounds of the network's exact function, in parts that fit into memory."""
    parts = zip(x.split(PART), y.split(PART), strict=True)
    return torch.cat([member(net, *part, threat, claim="real").lower for part in parts])


def threshold(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """About the radius at which crown certifies half of the inputs."""
    crown, low, high = inradius.make("crown()", Certifier), 1e-5, 1.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        found = bounds(crown, net, x, y, inradius.make(f"linf(eps={middle})", ThreatModel))
        share = float((found > 0).all(1).double().mean())
        low, high = (middle, high) if share > 0.5 else (low, middle)
    return (low * high) ** 0.5


def line(name: str, part: Sequence[Asked]) -> str:
    """One network in a line."""
    proved, gains = [each for each in part if each.certified], sorted(each.gain for each in part)
    seconds = sum(each.seconds for each in part) / max(1, len(part))
    return (
        f"{name:28} asked {len(part):4}, certified {len(proved):4}; gains: median {quantile(gains, 0.5):.2f}, 95 % "
        f"{quantile(gains, 0.95):.2f}; largest share that a certified one needs {largest(proved):.3f}; {1e3 * seconds:.0f} ms each"
    )


def largest(proved: Sequence[Asked]) -> float:
    return max((each.share for each in proved), default=float("nan"))


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def print_rules(found: Sequence[Asked]) -> None:
    """Prints lost certificates and CPU time for each value of ``promise``, for all networks, each kind and each depth."""
    groups = defaultdict(list)
    for each in found:
        kind = each.network.split()[-1] if each.network.startswith("mlp") else "published"
        for name in ("all", kind, f"{each.depth} hidden layers, {kind}"):
            groups[name].append(each)
    for name, group in groups.items():
        proved, whole = [each for each in group if each.certified], sum(each.seconds for each in group)
        print(
            f"{name}: {len(group)} asked, {len(proved)} certified, largest share {largest(proved):.3f}, {whole:.1f} s of CPU time"
        )
        rules = {f"promise {promise}": [each.promising(promise) for each in group] for promise in PROMISES}
        rules["2.5 gains"] = [each.promising_before for each in group]
        for rule, kept in rules.items():
            lost = sum(each.certified and not keep for each, keep in zip(group, kept, strict=True))
            spent = sum(each.seconds for each, keep in zip(group, kept, strict=True) if keep)
            share = 100 * spent / max(whole, 1e-9)
            print(f"  {rule:14} {lost:4} of {len(proved)} certificates lost, {share:3.0f} % of the CPU time")


if __name__ == "__main__":
    main()
