"""How near to the smallest perturbations our attacks come, beside other libraries: AttackBench's local optimality.

Run by hand, in an environment that also has mlxtend and adv-lib, Foolbox and torchattacks (`--no-deps`; adv-lib asks for visdom,
and uses it not here):

    python benchmarks/minimal_norm.py --weights FOLDER --networks standard,adversarial,masked --norms linf,l2,l1,l0

The networks are trained on the first run, in minutes, and kept in FOLDER: `standard` with the cross-entropy, `adversarial` against
PGD in linf(eps=0.3), and `masked` with the cross-entropy behind a layer that thresholds the pixels, as first layers do after long
adversarial training: most gradients vanish. `shipped` is the network mnist_small_adversarial of the package. With
INRADIUS_REFERENCE_DATA there are `published`, a standard network for digits, and `cifar`, one for colour images, as well. Attacks
were tuned on networks of seed 1, and for the others on images that are not among those of this script.

d is the distance of an example's answer, and d* the smallest of all contenders in this run. With A the mean of min(d, D) over the
examples that are right without a perturbation, A* that of d*, and D the largest d*, the optimality is 1 - (A - A*) / (D - A*): the
share of the area between no attack and the best known that an attack covers. It is printed times 100. An answer counts where
float64 says that it is misclassified and not tied, and within the box; one that is not is first made longer, by up to a thousandth,
so that nobody loses an example to rounding. Queries are forward and backward passes for each image. Source: cina2025.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import torch
from minimal_peers import LIBRARIES, ORDERS, Perturb
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import inradius
from inradius import Attack, Dataset, ThreatModel
from inradius.attacks.objective import class_margin

SETS = {"linf": "linf(eps=1)", "l2": "l2(eps=1)", "l1": "l1(eps=1)", "l0": "l0(k=1, per='coordinate')"}
# about 1000 queries each, for our attacks and for adv-lib's; ours ask for a few more at the end
OWN = 480
OURS = {
    "linf": [f"pdpgd(steps={OWN})", "smallest(searches=5)"],
    "l2": [f"ddn(steps={OWN})", f"pdpgd(steps={OWN})", "smallest(searches=5)"],
    "l1": [f"fmn(steps={OWN})", "smallest(searches=5)"],
    "l0": [
        f"sigma_zero(steps={OWN * 3 // 4}, polish=8)",
        "smallest(searches=4, polish=8)",
    ],
}
# an answer that float64 finds on the boundary is made longer by such a share of its length
LONGER = (0.0, 1e-5, 1e-4, 1e-3)


def main() -> None:
    """Prints a table for each network and norm."""
    options = arguments()
    torch.set_num_threads(1)
    for network in options.networks.split(","):
        model, x, y = NETWORKS[network](options)
        right = (model(x).argmax(1) == y).nonzero().squeeze(1)[: options.images]
        x, y = x[right].contiguous(), y[right]
        for norm in options.norms.split(","):
            counted = Counted(model)
            contenders = ours(counted, norm, options) | theirs(counted, norm, options)
            table(f"{network}, {norm}", counted, x, y, norm, contenders)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(tempfile.gettempdir()) / "inradius-benchmarks"
    parser.add_argument("--weights", type=Path, default=folder, help="folder of the trained networks (%(default)s)")
    parser.add_argument(
        "--networks",
        default="standard,adversarial,masked",
        help="of these, and shipped, published, cifar (%(default)s)",
    )
    parser.add_argument("--norms", default=",".join(ORDERS), help="norms, with commas between (%(default)s)")
    parser.add_argument("--images", type=int, default=50, help="how many images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the training; others make other networks (%(default)s)")
    parser.add_argument("--specs", help="our attacks with | between, in place of the standard ones")
    libraries = ",".join(LIBRARIES)
    parser.add_argument("--libraries", default=libraries, help="libraries beside ours, of these, or none (%(default)s)")
    return parser.parse_args()


def standard(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """A network after four epochs of standard training."""
    return trained(options, "standard", [("standard", "linf(eps=0)", 4, 1e-3)])


class Threshold(nn.Module):
    """Pixels from 0.4 to 0.6 as the whole range from 0 to 1; what is darker is 0, and what is lighter is 1."""

    def forward(self, x: Tensor) -> Tensor:
        return (5 * x - 2).clamp(0, 1)


def masked(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """The network after standard training, behind a threshold."""
    return trained(options, "masked", [("standard", "linf(eps=0)", 4, 1e-3)], Threshold())


def adversarial(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """The network after adversarial training at ever larger radii, up to 0.3."""
    stages = [
        ("standard", "linf(eps=0)", 2, 1e-3),
        ("adversarial(pgd(steps=5, step=0.3, keep_maximising=True))", "linf(eps=0.15)", 4, 1e-3),
        ("adversarial(pgd(steps=7, step=0.25, keep_maximising=True))", "linf(eps=0.3)", 16, 1e-3),
    ]
    return trained(options, "adversarial", stages)


def trained(
    options: argparse.Namespace, name: str, stages: list[tuple[str, str, int, float]], *before: nn.Module
) -> tuple[nn.Module, Tensor, Tensor]:
    """The network that was kept or is trained now, and images that it was not trained on."""
    file = options.weights / f"minimal_{name}_{options.seed}.safetensors"
    model = nn.Sequential(*before, *inradius.make("mnist_small()", nn.Module))
    if not file.exists():
        torch.manual_seed(options.seed)
        found = nn.Sequential(*before, *inradius.make("mnist_small()", nn.Module))
        for number, (defense, threat, epochs, rate) in enumerate(stages):
            found = inradius.train(
                defense,
                found,
                "mnist5k(split='train')",
                threat,
                folder=file.with_suffix("") / str(number),
                epochs=epochs,
                batch_size=50,
                lr=rate,
                seed=options.seed,
                schedule="cosine" if number == len(stages) - 1 else "constant",
            )
        save_file(found.state_dict(), file)
    model.load_state_dict(load_file(file))
    data = inradius.make("mnist5k(split='held_out')", Dataset)
    return model.eval(), data.inputs, data.labels


def cifar(options: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """A published network for CIFAR-10, and test images."""
    folder = Path(os.environ["INRADIUS_REFERENCE_DATA"])
    first, second = nn.Conv2d(3, 16, 4, 2, 1), nn.Conv2d(16, 32, 4, 2, 1)
    net = nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(2048, 100), nn.ReLU(), nn.Linear(100, 10)
    )
    net.load_state_dict(torch.load(folder / "cifar_cnn_a_mix.pth", map_location="cpu", weights_only=True))
    rows = torch.tensor(
        [[float(cell) for cell in row.split(",")] for row in (folder / "cifar10_test100.csv").read_text().split()]
    )
    x = rows[:, 1:].view(-1, 32, 32, 3).permute(0, 3, 1, 2) / 255
    normalised = inradius.Normalize(mean=(0.485, 0.456, 0.406), std=(0.225, 0.225, 0.225))
    return nn.Sequential(normalised, net).eval(), x, rows[:, 0].long()


def published(_: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """A standard network for digits that others can load as well, and test images."""
    folder = Path(os.environ["INRADIUS_REFERENCE_DATA"])
    rows = np.loadtxt(folder / "mnist_test100.csv", delimiter=",", dtype=np.float32)
    model = inradius.load_model("mnist_small", folder / "mnist_small_standard_ours.pth")
    return model.eval(), torch.tensor(rows[:, 1:]).view(-1, 1, 28, 28) / 255, torch.tensor(rows[:, 0]).long()


def shipped(_: argparse.Namespace) -> tuple[nn.Module, Tensor, Tensor]:
    """The adversarially trained network of the package, and images that it was not trained on."""
    data = inradius.make("mnist5k(split='held_out')", Dataset)
    return inradius.load_model("mnist_small_adversarial").eval(), data.inputs, data.labels


NETWORKS = {
    "standard": standard,
    "adversarial": adversarial,
    "masked": masked,
    "shipped": shipped,
    "published": published,
    "cifar": cifar,
}


class Counted(nn.Module):
    """The network, which counts the images of its forward and backward passes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        logits: Tensor = self.net(x)
        if logits.requires_grad:
            logits.register_hook(self._back)
        return logits

    def _back(self, gradient: Tensor) -> None:
        # a gradient of some of the images alone is a pass for those
        self.seen += int((gradient != 0).flatten(1).any(1).sum())


def ours(model: nn.Module, norm: str, options: argparse.Namespace) -> dict[str, Perturb]:
    threat = inradius.make(SETS[norm], ThreatModel)
    specs = options.specs.split("|") if options.specs else OURS[norm]
    attacks = [inradius.make(spec, Attack) for spec in specs]
    return {f"inradius {attack}": lambda x, y, a=attack: a(model, x, y, threat).delta for attack in attacks}


def theirs(model: nn.Module, norm: str, options: argparse.Namespace) -> dict[str, Perturb]:
    calls = [LIBRARIES[name](model, norm) for name in options.libraries.split(",") if name in LIBRARIES]
    return {name: perturb for one in calls for name, perturb in one.items()}


@attrs.frozen(eq=False)
class Found:
    """The distances (B,) of a contender's answers, infinite where it has none, its queries for each image, and its CPU time."""

    distance: Tensor
    queries: float
    seconds: float


def table(title: str, model: Counted, x: Tensor, y: Tensor, norm: str, contenders: dict[str, Perturb]) -> None:
    """Prints what each contender finds and costs, and our best and theirs together."""
    print(f"\n{title}, {len(x)} images that are right", flush=True)
    found = {name: answered(model, x, y, norm, perturb) for name, perturb in contenders.items()}
    sums: dict[str, Found] = {}
    for maker, mine in (("inradius", True), ("others", False)):
        group = [one for name, one in found.items() if name.startswith("inradius") == mine]
        if group:
            best = torch.stack([one.distance for one in group]).amin(0)
            sums[f"{maker}, all of them"] = Found(
                best, sum(one.queries for one in group), sum(one.seconds for one in group)
            )
    found |= sums
    least = torch.stack([one.distance for one in found.values()]).amin(0)
    for name, one in found.items():
        print(
            f"  {name:44} optimality {100 * optimality(one.distance, least):6.2f}  median {one.distance.median():8.4f}  "
            f"nothing {int(one.distance.isinf().sum()):3}  queries {one.queries:7.0f}  CPU s {one.seconds:7.2f}",
            flush=True,
        )


def answered(model: Counted, x: Tensor, y: Tensor, norm: str, perturb: Perturb) -> Found:
    model.seen = 0
    begin = time.process_time()
    delta = torch.cat([perturb(*part).detach() for part in parts(x, y)])
    seconds, queries = time.process_time() - begin, model.seen / len(x)
    return Found(distances(model.net, x, y, delta, norm), queries, seconds)


def parts(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(x.split(50), y.split(50), strict=True)


@torch.no_grad()
def distances(net: nn.Module, x: Tensor, y: Tensor, delta: Tensor, norm: str) -> Tensor:
    """The norms of the perturbations that float64 finds misclassified within the box, infinite for others, (B,)."""
    exact, image, answer = net.double(), x.double(), torch.full((len(x),), torch.inf, dtype=torch.float64)
    for longer in LONGER:
        moved = delta.double() * (1 + longer)
        if longer:
            moved = (image + moved).clamp(0, 1) - image
        fooled = class_margin(exact(image + moved), y) < 0
        inside = ((image + moved > -1e-6) & (image + moved < 1 + 1e-6)).flatten(1).all(1)
        length = torch.linalg.vector_norm(moved.flatten(1), ord=ORDERS[norm], dim=1)
        answer = torch.where(answer.isinf() & fooled & inside, length, answer)
    net.float()
    return answer


def optimality(distance: Tensor, least: Tensor) -> float:
    """The share of the area between no attack and the best known that these distances (B,) cover."""
    most = least[least.isfinite()].max()
    area, best = (each.clamp(max=most).mean() for each in (distance, least))
    return float(1 - (area - best) / (most - best))


if __name__ == "__main__":
    sys.exit(main())
