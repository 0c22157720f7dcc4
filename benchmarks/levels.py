"""Levels of claims on published networks and at radius 0: certified examples, rows that need float64, and the cost of a level.

    python benchmarks/levels.py

needs INRADIUS_REFERENCE_DATA. One thread, process CPU time, the best of several runs that take turns, after one that is not
counted. What is asked for: at most 2 % of the examples are decided in float64, level float loses at most one example of 100
against level real at no more than 1.3 times the cost, and deep networks are certified at radius 0.
"""

import argparse
import itertools
import os
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, ThreatModel

HERE = Path(__file__).parent
CLAIMS = ("real", "float")


def told(label: str, net: nn.Module, x: Tensor, y: Tensor, spec: str, eps: float, options: argparse.Namespace) -> None:
    """One certifier on one network, at both levels, in batches."""
    certifier, threat = inradius.make(spec, Certifier), inradius.make(f"linf(eps={eps!r})", ThreatModel)
    parts = list(zip(x.split(options.batch), y.split(options.batch), strict=True))
    seconds = dict.fromkeys(CLAIMS, float("inf"))
    certified, double = {}, {}
    for turn, claim in itertools.product(range(options.repeats + 1), CLAIMS):
        start = time.process_time()
        proofs = [certifier(net, images, labels, threat, claim=claim) for images, labels in parts]
        spent = time.process_time() - start
        seconds[claim] = min(seconds[claim], spent) if turn else seconds[claim]
        at = [torch.tensor([level == "float" for level in proof.claim]) for proof in proofs]
        every = torch.cat([proof.certified for proof in proofs])
        certified[claim] = int((every & torch.cat(at)).sum()) if claim == "float" else int(every.sum())
        double[claim] = int((torch.cat([proof.precision for proof in proofs]) == 64).sum())
    real, strong = (seconds[claim] for claim in CLAIMS)
    print(
        f"{label:22} {spec:10} eps {eps:.4f}, {len(x)} images: certified {certified['real']} at real, "
        f"{certified['float']} at float; in float64 {double['real']} and {double['float']}; CPU {real:.2f} and {strong:.2f} s, "
        f"ratio {strong / real:.2f}",
        flush=True,
    )


def deep() -> nn.Module:
    """16 hidden layers of 100."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise([64, *[100] * 16, 10]):
        layer = nn.Linear(before, after)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(layer.bias, 0, 0.05)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    if "INRADIUS_REFERENCE_DATA" not in os.environ:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference networks")
    torch.set_num_threads(1)
    sys.path[:0] = [str(HERE), str(HERE / "lirpa")]
    import dual_network
    import images
    import networks
    from sides import on_pixels

    digits = inradius.make("digits").take(20).inputs
    net = deep()
    told("16 layers of 100", net, digits, net(digits).argmax(1), "crown()", 0.0, options)
    residual, x = on_pixels(networks.drawn(networks.resnet18)), images.images()[0][:1]
    told("ResNet-18 of width 16", residual, x, residual(x).argmax(1), "crown(inner='interval')", 0.0, options)
    for spec in ("dual()", "crown()"):
        x, y = dual_network.images(options.images)
        told("mnist_small_linf0.1", dual_network.network("mnist_small_linf0.1.pth"), x, y, spec, 0.1, options)
        x, y = images.literature()
        told(
            "cifar_cnn_a_mix",
            on_pixels(networks.CNN_A()),
            x[: options.images],
            y[: options.images],
            spec,
            2 / 255,
            options,
        )


if __name__ == "__main__":
    main()
