"""Intervals, normalisations, a network of seven layers, and slopes found by ascent."""

import argparse
import subprocess
import time
from collections.abc import Callable
from functools import partial

import torch
from images import MEAN, STD, images, literature, normalized
from networks import CNN_A, CROWN, SEVEN, resnet18, settled
from sides import Run, best_of, bounded, measured, on_pixels, ours, pixels_within, theirs
from torch import Tensor, nn

import inradius
from inradius import ThreatModel


class OwnNormalize(nn.Module):
    """(x − mean) / std as users write it themselves, in place of ``inradius.Normalize``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def compare_interval(options: argparse.Namespace) -> None:
    """Interval bounds of a ResNet-18 beside a plain pass and the peer's."""
    net = settled(resnet18)
    threat = inradius.make("linf(eps=1/255)", ThreatModel)
    for batch in options.batches:
        x = images()[0][:batch]
        y = net(normalized(x)).argmax(1)
        pixels = on_pixels(net)
        runs = {
            "plain pass": torch.no_grad()(lambda x=x, pixels=pixels: pixels(x)),
            "theirs": theirs(bounded(net, normalized(x)), normalized(x), y, pixels_within(x, 1 / 255), "IBP"),
            "ours": ours(pixels, x, y, threat, "interval()", options.claim),
        }
        seconds, lower = best_of(runs, options.repeats)
        gain = (lower["ours"] - lower["theirs"]) / lower["theirs"].abs()
        print(
            f"interval, ResNet-18 of width 16, batch {batch:2}: plain pass {1e3 * seconds['plain pass']:.1f} ms, theirs "
            f"{1e3 * seconds['theirs']:.1f} ms, ours {1e3 * seconds['ours']:.1f} ms; ours is "
            f"{seconds['ours'] / seconds['plain pass']:.2f} plain passes and {seconds['ours'] / seconds['theirs']:.2f} of theirs; "
            f"least relative gain {float(gain.min()):+.1e}",
            flush=True,
        )


def compare_normalize(options: argparse.Namespace) -> None:
    """A user's own layer of two operators beside the one with a rule."""
    for name in ("cnn_a_mix", "resnet2_trained"):
        case = CROWN[name]
        net = case.build()
        x = images()[0][:8]
        y = net(normalized(x)).argmax(1)
        models = {"Normalize": on_pixels(net), "own": nn.Sequential(OwnNormalize(), net).eval()}
        runs = {label: ours(model, x, y, case.threat, "crown()", options.claim) for label, model in models.items()}
        seconds, lower = best_of(runs, options.repeats)
        usual, own = seconds["Normalize"], seconds["own"]
        print(
            f"normalize, {name}, batch 8: {usual:.3f} s with inradius.Normalize, {own:.3f} s with a module of one's own, ratio "
            f"{own / usual:.2f}; bounds differ by at most {float((lower['own'] - lower['Normalize']).abs().max()):.1e}",
            flush=True,
        )


def compare_seven(options: argparse.Namespace) -> None:
    """One image of the seven-layer network, each side in its own process with a limit on its time."""
    net, x = SEVEN.build(), images()[0][:1]
    peer = bounded(net, normalized(x))
    theirs(peer, normalized(x), torch.zeros(1, dtype=torch.int64), pixels_within(x, SEVEN.eps), "IBP")()
    sides = [node.inputs[0].interval for node in peer.relus]
    share = float(torch.cat([((low < 0) & (high > 0)).flatten() for low, high in sides]).double().mean())
    print(
        f"seven layers, eps {255 * SEVEN.eps:.2f}/255: intervals leave {100 * share:.1f} % of the neurons unstable",
        flush=True,
    )
    for side in ("ours", "theirs"):
        try:
            found = measured(options, side, "seven", "1", limit=options.seconds)
        except subprocess.TimeoutExpired:
            print(f"seven layers, {side}: not done after {options.seconds:.0f} s", flush=True)
            continue
        if found:
            memory, spent, least = found
            print(f"seven layers, {side}: {spent} s, {memory} MB, lowest margin {least}", flush=True)


def compare_alpha(options: argparse.Namespace) -> None:
    """Certified images and CPU time of slopes found in 20 steps, image by image, on the images of the literature."""
    net, (x, y) = CNN_A(), literature()
    count = options.images
    x, y = x[:count], y[:count]
    right = net(normalized(x)).argmax(1) == y
    x, y, eps = x[right], y[right], 2 / 255
    for name, run in alpha_methods(net, x, eps, options.claim).items():
        run(x[:1], y[:1])()
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


def alpha_methods(net: nn.Module, x: Tensor, eps: float, claim: str) -> dict[str, Callable[[Tensor, Tensor], Run]]:
    """The methods of both sides, each a function of images and labels."""
    threat, model = inradius.make(f"linf(eps={eps!r})", ThreatModel), on_pixels(net)
    specs = ("crown()", "alpha()", "alpha(layers='all')")
    methods: dict[str, Callable[[Tensor, Tensor], Run]] = {
        f"ours: {spec}": partial(ours, model, threat=threat, spec=spec, claim=claim) for spec in specs
    }
    stop = {"iteration": 20, "stop_criterion_func": lambda lower: (lower > 0).all(1, keepdim=True)}
    peer = bounded(net, normalized(x[:1]), {"optimize_bound_args": stop})

    def by_peer(x: Tensor, y: Tensor, method: str, *, fixed: bool = False) -> Run:
        return theirs(peer, normalized(x), y, pixels_within(x, eps), method, fixed=fixed)

    methods["theirs: CROWN"] = partial(by_peer, method="CROWN")
    methods["theirs: alpha-CROWN, last layer"] = partial(by_peer, method="CROWN-Optimized", fixed=True)
    methods["theirs: alpha-CROWN"] = partial(by_peer, method="CROWN-Optimized")
    return methods
