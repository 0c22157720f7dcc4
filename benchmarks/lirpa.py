"""Bounds beside auto_LiRPA's on the same networks, images and sets: cost, memory and tightness.

    python benchmarks/lirpa.py --lirpa FOLDER[:FOLDER...] [--only NAME]

needs INRADIUS_REFERENCE_DATA and a checkout of Verified-Intelligence/auto_LiRPA; the folders are put on the path, so that what
it imports (appdirs, graphviz, ninja) can lie in one beside it (``pip install --no-deps --target FOLDER``). One thread, process
CPU time, the best of several runs that take turns, after one that is not counted. The peer's network is built outside of the
measurement and works on normalised pixels; ours is the whole call of the certifier, checks of the recorded network and the
analysis of rounding included. Memory is the growth of the largest resident set in a fresh process, from before the network is
recorded or built. The peer's method is CROWN with its defaults: patches, bounds by intervals first, rows for unstable neurons.
"""

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import inradius
from inradius import Certifier, Normalize, Property, ThreatModel

MEAN, STD = (0.485, 0.456, 0.406), (0.225, 0.225, 0.225)
BATCHES = (1, 8, 32)
ENOUGH = 20.0
Run = Callable[[], Tensor]


@attrs.frozen(eq=False)
class Case:
    """A network on normalised pixels with the radius, in pixels, that leaves a moderate share of its neurons unstable."""

    build: Callable[[], nn.Module]
    eps: float

    @property
    def threat(self) -> ThreatModel:
        return inradius.make(f"linf(eps={self.eps!r})", ThreatModel)


# networks


class Block(nn.Module):
    """The basic block of residual networks, with a projection where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        same = stride == 1 and before == after
        project = nn.Conv2d(before, after, 1, stride, bias=False)
        self.skip = nn.Sequential() if same else nn.Sequential(project, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(h)) + self.skip(x))


def residual(
    strides: tuple[int, ...], widths: tuple[int, ...], stem: int, head: Callable[[], list[nn.Module]]
) -> nn.Module:
    """A stem with a stride, a block for each stride and width, and a head."""
    layers = [nn.Conv2d(3, 8, 3, stem, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    for before, after, stride in zip((8, *widths), widths, strides, strict=False):
        layers.append(Block(before, after, stride))
    return nn.Sequential(*layers, *head())


def dense_head() -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(16 * 4 * 4, 100), nn.ReLU(), nn.Linear(100, 10)]


def resnet2() -> nn.Module:
    return residual((2, 2), (16, 16), 2, dense_head)


def resnet4() -> nn.Module:
    return residual((2, 1, 2, 1), (16, 16, 16, 16), 2, dense_head)


def resnet18() -> nn.Module:
    """ResNet-18 of width 16 for 32 × 32 pixels."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for after, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
        layers += [Block(before, after, stride), Block(after, after, 1)]
        before = after
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))


def wide() -> nn.Module:
    """Three convolutions with 20,608 ReLUs, as networks for SVHN have them."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def seven() -> nn.Module:
    """The seven layers of the literature on interval training, with 229,888 ReLUs."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 128, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
    dense = [nn.Flatten(), nn.Linear(128 * 16 * 16, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*layers, *dense)


def drawn(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with random weights, and running statistics that are not the identity's."""
    torch.manual_seed(0)
    net = build()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.0, 0.1)
            layer.running_mean.normal_(0.0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    return net.eval()


def settled(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with random weights, and the running statistics of the images in the folder."""
    net = drawn(build).train()
    with torch.no_grad():
        for _ in range(20):
            net(normalized(images()[0][:50]))
    return net.eval()


def trained(build: Callable[[], nn.Module]) -> nn.Module:
    """The network after 80 steps on the images in the folder."""
    net = drawn(build).train()
    x, y = images()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(80):
        part = torch.randperm(len(x), generator=torch.Generator().manual_seed(step))[:50]
        optimizer.zero_grad()
        F.cross_entropy(net(normalized(x[part])), y[part]).backward()
        optimizer.step()
    return net.eval()


def published(name: str, channels: int) -> nn.Module:
    """A network of the literature from its state dict."""
    c = channels
    net = nn.Sequential(
        nn.Conv2d(3, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, 2 * c, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(128 * c, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    net.load_state_dict(torch.load(folder() / name, map_location="cpu", weights_only=True))
    return net.eval()


CNN_A, OVAL = partial(published, "cifar_cnn_a_mix.pth", 16), partial(published, "cifar_oval_base.pth", 8)
CROWN = {
    "resnet2_random": Case(partial(drawn, resnet2), 2 / 255),
    "resnet2_trained": Case(partial(trained, resnet2), 0.5 / 255),
    "resnet4_random": Case(partial(drawn, resnet4), 1.5 / 255),
    "resnet4_trained": Case(partial(trained, resnet4), 0.2 / 255),
    "cnn_a_mix": Case(CNN_A, 2 / 255),
    "oval_base": Case(OVAL, 2 / 255),
    "svhn_sized": Case(partial(drawn, wide), 2 / 255),
}
SEVEN = Case(partial(drawn, seven), 0.1 / 255)


# data


@cache
def folder() -> Path:
    found = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not found:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference networks")
    return Path(found)


@cache
def images() -> tuple[Tensor, Tensor]:
    """The 100 first CIFAR-10 test images and their labels."""
    table = torch.as_tensor(np.loadtxt(folder() / "cifar10_test100.csv", delimiter=","))
    return (table[:, 1:].float() / 255).view(-1, 32, 32, 3).permute(0, 3, 1, 2).contiguous(), table[:, 0].long()


def literature() -> tuple[Tensor, Tensor]:
    """The 100 images on which the verification literature reports CNN-A."""
    found = np.load(folder() / "cifar10_sdp100.npz")
    return torch.as_tensor(found["images"]).float() / 255, torch.as_tensor(found["labels"]).long()


def normalized(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return (x - mean) / std


class OwnNormalize(nn.Module):
    """What users write instead of ``inradius.Normalize``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


# both sides


def on_pixels(net: nn.Module) -> nn.Module:
    return nn.Sequential(Normalize(MEAN, STD), net).eval()


def ours(net: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel, spec: str) -> Run:
    """The lower bounds by a certifier of this project, of a network on pixels."""
    certifier = inradius.make(spec, Certifier)
    return lambda: certifier(net, x, y, threat, claim=OPTIONS.claim).lower.double()


def bounded(net: nn.Module, x: Tensor, options: dict[str, object] | None = None) -> nn.Module:
    """The peer's form of a network on normalised pixels."""
    from auto_LiRPA import BoundedModule

    return BoundedModule(net, normalized(x), bound_opts=options or {}, device="cpu")


def theirs(peer: nn.Module, x: Tensor, y: Tensor, eps: float, method: str, *, fixed: bool = False) -> Run:
    """The lower bounds by the peer; ``fixed`` keeps the bounds of inner layers that its CROWN has."""
    from auto_LiRPA import BoundedTensor, PerturbationLpNorm

    low, high = (normalized((x + side).clamp(0, 1)) for side in (-eps, eps))
    given = BoundedTensor(normalized(x), PerturbationLpNorm(norm=float("inf"), x_L=low, x_U=high))
    rows = Property.margins(y, 10, dtype=x.dtype).weights

    def run() -> Tensor:
        inner = None
        if fixed:
            with torch.no_grad():
                peer.compute_bounds(x=(given,), C=rows, method="CROWN", bound_upper=False)
            before = [node.inputs[0] for node in peer.relus]
            inner = {node.name: (node.lower.detach(), node.upper.detach()) for node in before}
        with torch.set_grad_enabled("ptimized" in method):
            lower = peer.compute_bounds(x=(given,), C=rows, method=method, bound_upper=False, interm_bounds=inner)[0]
        return lower.detach().double()

    return run


def unstable(peer: nn.Module) -> float:
    """The share of the neurons that the peer's last bounds leave unstable."""
    sides = [(node.inputs[0].lower, node.inputs[0].upper) for node in peer.relus]
    return float(torch.cat([((low < 0) & (high > 0)).flatten() for low, high in sides]).double().mean())


def best_of(runs: dict[str, Run], repeats: int) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The least CPU time of each, and what it returned; they take turns, and the first turn does not count.

    What took more than ``ENOUGH`` seconds is not repeated further.
    """
    values = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            if sum(seconds[name]) < ENOUGH:
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    return {name: min(found) for name, found in seconds.items()}, values


# the comparisons


def compare_crown(case: str, batch: int, repeats: int, memory: bool) -> None:
    """A line on one network and batch."""
    found = CROWN[case]
    net, (x, _) = found.build(), images()
    x = x[:batch]
    y = net(normalized(x)).argmax(1)
    peer = bounded(net, x)
    runs = {
        "theirs": theirs(peer, x, y, found.eps, "CROWN"),
        "ours": ours(on_pixels(net), x, y, found.threat, "crown()"),
    }
    seconds, lower = best_of(runs, repeats)
    gain = lower["ours"] - lower["theirs"]
    sizes = [grown(side, case, batch) if memory else float("nan") for side in ("theirs", "ours")]
    spent, share = (seconds["theirs"], seconds["ours"]), 100 * unstable(peer)
    print(
        f"{case:16} {batch:5} {255 * found.eps:5.2f} {share:7.1f} %  {spent[0]:9.3f} {spent[1]:9.3f} {spent[1] / spent[0]:7.2f}   "
        f"{sizes[0]:7.0f} {sizes[1]:7.0f}   {float(gain.min()):+10.2e} {float(gain.mean()):+10.2e} "
        f"{float(lower['theirs'].abs().mean()):9.2e}",
        flush=True,
    )


HEAD = (
    f"{'network':16} {'batch':>5} {'eps':>5} {'unstable':>9}  {'theirs s':>9} {'ours s':>9} {'ratio':>7}   {'their MB':>7} "
    f"{'our MB':>6}   {'min gain':>10} {'mean gain':>10} {'|bound|':>9}"
)


def grown(side: str, case: str, batch: int) -> float:
    """How many MB a fresh process grows by to bound the images, NaN where it fails."""
    command = [sys.executable, __file__, "--lirpa", os.pathsep.join(peers()), "--claim", OPTIONS.claim]
    command += ["--measure", side, case, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("grown")]
    if not found:
        print("\n".join(done.stderr.splitlines()[-3:]), file=sys.stderr)
    return float(found[0].split()[1]) if found else float("nan")


def measure(side: str, name: str, batch: int) -> None:
    """Prints by how much the process grows, and the seconds of its first run."""
    case = SEVEN if name == "seven" else CROWN[name]
    net, (x, _) = case.build(), images()
    x = x[:batch]
    y = net(normalized(x)).argmax(1)
    before, start = peak(), time.process_time()
    if side == "ours":
        lower = ours(on_pixels(net), x, y, case.threat, "crown()")()
    else:
        lower = theirs(bounded(net, x), x, y, case.eps, "CROWN")()
    print(f"grown {peak() - before:.0f} {time.process_time() - start:.1f} {float(lower.min()):.4f}", flush=True)


def peak() -> float:
    """The largest resident set so far, in MB; not getrusage's, which begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return float(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def compare_interval(repeats: int) -> None:
    """Interval bounds of a ResNet-18 beside a plain pass and the peer's."""
    net = settled(resnet18)
    threat = inradius.make("linf(eps=1/255)", ThreatModel)
    for batch in BATCHES:
        x = images()[0][:batch]
        y = net(normalized(x)).argmax(1)
        pixels = on_pixels(net)
        runs = {
            "plain pass": torch.no_grad()(lambda x=x, pixels=pixels: pixels(x)),
            "theirs": theirs(bounded(net, x), x, y, 1 / 255, "IBP"),
            "ours": ours(pixels, x, y, threat, "interval()"),
        }
        seconds, lower = best_of(runs, repeats)
        gain = (lower["ours"] - lower["theirs"]) / lower["theirs"].abs()
        print(
            f"interval, ResNet-18 of width 16, batch {batch:2}: plain pass {1e3 * seconds['plain pass']:.1f} ms, theirs "
            f"{1e3 * seconds['theirs']:.1f} ms, ours {1e3 * seconds['ours']:.1f} ms; ours is "
            f"{seconds['ours'] / seconds['plain pass']:.2f} plain passes and {seconds['ours'] / seconds['theirs']:.2f} of theirs; "
            f"least relative gain {float(gain.min()):+.1e}",
            flush=True,
        )


def compare_normalize(repeats: int) -> None:
    """A user's own layer of two operators beside the one with a rule."""
    for name in ("cnn_a_mix", "resnet2_trained"):
        case = CROWN[name]
        net = case.build()
        x = images()[0][:8]
        y = net(normalized(x)).argmax(1)
        models = {"Normalize": on_pixels(net), "own": nn.Sequential(OwnNormalize(), net).eval()}
        runs = {label: ours(model, x, y, case.threat, "crown()") for label, model in models.items()}
        seconds, lower = best_of(runs, repeats)
        usual, own = seconds["Normalize"], seconds["own"]
        print(
            f"normalize, {name}, batch 8: {usual:.3f} s with inradius.Normalize, {own:.3f} s with a module of one's own, ratio "
            f"{own / usual:.2f}; bounds differ by at most {float((lower['own'] - lower['Normalize']).abs().max()):.1e}",
            flush=True,
        )


def compare_seven(seconds: float) -> None:
    """One image of the seven-layer network, each side in its own process with a limit on its time."""
    net, x = SEVEN.build(), images()[0][:1]
    peer = bounded(net, x)
    theirs(peer, x, torch.zeros(1, dtype=torch.int64), SEVEN.eps, "IBP")()
    sides = [node.inputs[0].interval for node in peer.relus]
    share = float(torch.cat([((low < 0) & (high > 0)).flatten() for low, high in sides]).double().mean())
    print(
        f"seven layers, eps {255 * SEVEN.eps:.2f}/255: intervals leave {100 * share:.1f} % of the neurons unstable",
        flush=True,
    )
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--lirpa", os.pathsep.join(peers()), "--claim", OPTIONS.claim]
        command += ["--measure", side, "seven", "1"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            print(f"seven layers, {side}: not done after {seconds:.0f} s", flush=True)
            continue
        line = [line for line in done.stdout.splitlines() if line.startswith("grown")]
        if not line:
            print(f"seven layers, {side}: {done.stderr.splitlines()[-1:] or done.returncode}", flush=True)
            continue
        _, memory, spent, least = line[0].split()
        print(f"seven layers, {side}: {spent} s, {memory} MB, lowest margin {least}", flush=True)


def compare_alpha(count: int) -> None:
    """Certified images and CPU time of slopes found in 20 steps, image by image, on the images of the literature."""
    net, (x, y) = CNN_A(), literature()
    x, y = x[:count], y[:count]
    right = net(normalized(x)).argmax(1) == y
    x, y, eps = x[right], y[right], 2 / 255
    threat, model = inradius.make(f"linf(eps={eps!r})", ThreatModel), on_pixels(net)
    methods: dict[str, Callable[[Tensor, Tensor], Run]] = {
        "ours: crown()": lambda x, y: ours(model, x, y, threat, "crown()"),
        "ours: alpha()": lambda x, y: ours(model, x, y, threat, "alpha()"),
        "ours: alpha(layers='all')": lambda x, y: ours(model, x, y, threat, "alpha(layers='all')"),
    }
    stop = {"iteration": 20, "stop_criterion_func": lambda lower: (lower > 0).all(1, keepdim=True)}
    peer = bounded(net, x[:1], {"optimize_bound_args": stop})
    methods["theirs: CROWN"] = partial(theirs, peer, eps=eps, method="CROWN")
    methods["theirs: alpha-CROWN, last layer"] = partial(theirs, peer, eps=eps, method="CROWN-Optimized", fixed=True)
    methods["theirs: alpha-CROWN"] = partial(theirs, peer, eps=eps, method="CROWN-Optimized")
    for run in methods.values():
        run(x[:1], y[:1])()
    for name, run in methods.items():
        spent, worst = 0.0, []
        for image in range(len(x)):
            call = run(x[image : image + 1], y[image : image + 1])
            start = time.process_time()
            worst.append(float(call().min()))
            spent += time.process_time() - start
        proved = sum(value > 0 for value in worst)
        print(
            f"alpha, cnn_a_mix, 2/255, {len(x)} of {count} images: {name:32} certifies {proved}, mean worst margin "
            f"{sum(worst) / len(worst):+.4f}, {spent / len(x):.3f} s an image",
            flush=True,
        )


def peers() -> list[str]:
    return OPTIONS.lirpa.split(os.pathsep)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lirpa", required=True, help="folders to import auto_LiRPA and what it needs from")
    parser.add_argument("--only", default="", help="the cases whose name this is a part of")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--claim", default="real", help="real, as the peer's bounds are meant, or float")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--images", type=int, default=100, help="of alpha")
    parser.add_argument("--seconds", type=float, default=1800, help="the limit of each side on the seven-layer network")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    torch.set_num_threads(1)
    sys.path[:0] = peers()
    warnings.simplefilter("ignore")
    if OPTIONS.measure:
        side, name, batch = OPTIONS.measure
        measure(side, name, int(batch))
        return
    chosen = [name for name in CROWN if OPTIONS.only in name]
    if chosen:
        print(HEAD)
    for name in chosen:
        for batch in OPTIONS.batches:
            compare_crown(name, batch, OPTIONS.repeats, OPTIONS.memory)
    others = {
        "interval": partial(compare_interval, OPTIONS.repeats),
        "normalize": partial(compare_normalize, OPTIONS.repeats),
        "seven": partial(compare_seven, OPTIONS.seconds),
        "alpha": partial(compare_alpha, OPTIONS.images),
    }
    for name, compare in others.items():
        if OPTIONS.only in name:
            compare()


if __name__ == "__main__":
    OPTIONS = arguments()
    main()
