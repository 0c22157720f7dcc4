"""How close stated rounding errors are to the observed ones, and whether any bound is above the exact value.

    python benchmarks/rounding.py [--networks 320] [--first 0]

The first part needs INRADIUS_REFERENCE_DATA. It bounds the margins of the first MNIST test images, of a network of three hidden
layers trained for ℓ∞ 0.1, in float32 and again in float64: observed is the difference of the two bounds, stated is the error of
the first. The second part checks certificates of random networks against exact arithmetic, as
`tests/plugins/bounds/test_rounding_exact.py` does: 320 networks make about 5,000 certificates, and take some minutes.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, ThreatModel
from inradius.certifiers.certificate import Claim

SHARED = Path(__file__).parents[1] / "tests" / "shared"
SPECS = ("interval()", "dual()", "crown()", "alpha(steps=5, keep_maximising=True)")
CLAIMS: tuple[Claim, ...] = ("real", "float")
# 0.1 as float32 has it, so that the set is the same in both types
EPS = float(torch.tensor(0.1))


def network(folder: Path) -> nn.Module:
    net = inradius.make("mnist_small()", nn.Module)
    net.load_state_dict(torch.load(folder / "mnist_small_linf0.1.pth", map_location="cpu", weights_only=True))
    return net.eval()


def images(folder: Path, count: int) -> tuple[Tensor, Tensor]:
    table = torch.as_tensor(np.loadtxt(folder / "mnist_test100.csv", delimiter=",", max_rows=count))
    return (table[:, 1:] / 255).float().view(-1, 1, 28, 28), table[:, 0].long()


def compare_types(count: int) -> None:
    """Stated over observed errors on the published network, by certifier and level."""
    given = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not given:
        print("INRADIUS_REFERENCE_DATA is not set, and names the folder with the published network; left out")
        return
    folder = Path(given)
    net, wide, (x, y) = network(folder), network(folder).double(), images(folder, count)
    threat = inradius.make(f"linf(eps={EPS!r})", ThreatModel)
    for spec in SPECS:
        for claim in CLAIMS:
            certifier = inradius.make(spec, Certifier)
            short, long = certifier(net, x, y, threat, claim=claim), certifier(wide, x.double(), y, threat, claim=claim)
            # examples that were bounded in float64 anyway have no float32 bound to look at
            own = short.precision == 32
            observed = (short.lower[own].double() - long.lower[own]).abs().flatten()
            stated = short.error[own].double().flatten()
            told(f"{spec} {claim}", stated, observed)


def told(label: str, stated: Tensor, observed: Tensor) -> None:
    ratio = [float(s / o) for s, o in zip(stated, observed, strict=True) if o > 0]
    print(
        f"{label:44} {len(stated):4} rows: stated {float(stated.median()):.2e}, observed {float(observed.median()):.2e} (medians); "
        f"stated / observed median {statistics.median(ratio):.1f}, least {min(ratio):.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=320, help="random networks, about 16 certificates each")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    parser.add_argument("--images", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, str(SHARED))
    from exact_check import summary

    compare_types(options.images)
    if options.networks:
        found = summary(range(options.first, options.first + options.networks))
        print(found)
        sys.exit(bool(found.all("violations") or found.all("errors")))


if __name__ == "__main__":
    main()
