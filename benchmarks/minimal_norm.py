"""How near to the smallest perturbations our attacks come, beside adv-lib: AttackBench's local optimality.

Run by hand, in an environment that also has adv-lib (it asks for torchvision and visdom, and uses neither here) and mlxtend:

    python benchmarks/minimal_norm.py --weights FOLDER --networks standard,adversarial,masked --norms linf,l2,l1,l0

The networks are trained on the first run, in minutes, and kept in FOLDER: `standard` with the cross-entropy, `adversarial` against
PGD in linf(eps=0.3), and `masked` with the cross-entropy behind a layer that thresholds the pixels, as first layers do after long
adversarial training: most gradients vanish. With INRADIUS_REFERENCE_DATA there is `cifar` as well, a published network for colour
images. No attack was tuned on those of seed 0, and on `cifar`.

d is the distance of an example's answer, and d* the smallest of all contenders in this run. With A the mean of min(d, D) over the
examples that are right without a perturbation, A* that of d*, and D the largest d*, the optimality is 1 - (A - A*) / (D - A*): the
share of the area between no attack and the best known that an attack covers. It is printed times 100. An answer counts where
float64 says that it is misclassified, and within the box. Queries are forward and backward passes for each image. Source: cina2025.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import inradius
from inradius import Attack, Dataset, ThreatModel
from inradius.attacks.objective import class_margin

ORDERS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
SETS = {"linf": "linf(eps=1)", "l2": "l2(eps=1)", "l1": "l1(eps=1)", "l0": "l0(k=1, per='coordinate')"}
# about 1000 queries each, for our attacks and for adv-lib's; ours ask for a few more at the end
STEPS = 500
OWN = 480
OURS = {
    "linf": [f"fmn(steps={OWN})", "fab(steps=100, classes=3)", f"pdpgd(steps={OWN})", "smallest()"],
    "l2": [f"ddn(steps={OWN})", f"fmn(steps={OWN})", f"pdpgd(steps={OWN})", "smallest()"],
    "l1": [f"fmn(steps={OWN})", "fab(steps=100, classes=3)", f"pdpgd(steps={OWN})", "smallest()"],
    "l0": [
        f"fmn(steps={OWN})",
        f"sigma_zero(steps={OWN * 3 // 4}, polish=8)",
        f"pdpgd(steps={OWN})",
        "pointwise(queries=1000, tries=100)",
    ],
}
# images and labels -> perturbations
Perturb = Callable[[Tensor, Tensor], Tensor]


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
            contenders = ours(counted, norm, options) | (theirs(counted, norm) if options.peers else {})
            table(f"{network}, {norm}", counted, x, y, norm, contenders)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(tempfile.gettempdir()) / "inradius-benchmarks"
    parser.add_argument("--weights", type=Path, default=folder, help="folder of the trained networks (%(default)s)")
    parser.add_argument("--networks", default="standard,adversarial,masked", help="of these, and cifar (%(default)s)")
    parser.add_argument("--norms", default=",".join(ORDERS), help="norms, with commas between (%(default)s)")
    parser.add_argument("--images", type=int, default=50, help="how many images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the training; others make other networks (%(default)s)")
    parser.add_argument("--specs", help="our attacks with | between, in place of the standard ones")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="ours alone")
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


NETWORKS = {"standard": standard, "adversarial": adversarial, "masked": masked, "cifar": cifar}


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


def theirs(model: nn.Module, norm: str) -> dict[str, Perturb]:
    """adv-lib's attacks, its own defaults but for the number of steps."""
    from adv_lib import attacks as library
    from adv_lib.attacks.auto_pgd import minimal_apgd

    order = ORDERS[norm]
    searches, radius = 20, {"linf": 1.0, "l2": 30.0, "l1": 800.0, "l0": 0.0}[norm]
    calls: dict[str, Callable[..., Tensor]] = {
        "fmn": lambda x, y: library.fmn(model, x, y, norm=order, steps=STEPS),
        "pdpgd": lambda x, y: library.pdpgd(model, x, y, norm=order, num_steps=STEPS),
    }
    if norm == "l0":
        calls["sigma_zero"] = lambda x, y: library.sigma_zero(model, x, y, num_steps=STEPS)
        calls["vfga"] = lambda x, y: library.vfga(model, x, y, targeted=False)
    else:
        calls["fab"] = lambda x, y: library.fab(model, x, y, norm=order, n_iter=STEPS // 5)
        calls["apgd, bisected"] = lambda x, y: minimal_apgd(
            model, x, y, norm=order, max_eps=radius, n_iter=STEPS // searches
        )
    if norm == "l2":
        calls["ddn"] = lambda x, y: library.ddn(model, x, y, steps=STEPS, levels=None)
        calls["alma"] = lambda x, y: library.alma(model, x, y, num_steps=STEPS)
        calls["pdgd"] = lambda x, y: library.pdgd(model, x, y, num_steps=STEPS)
    return {f"adv-lib {name}": lambda x, y, c=call: c(x.clone(), y) - x for name, call in calls.items()}


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
    for maker in ("inradius", "adv-lib"):
        group = [one for name, one in found.items() if name.startswith(maker)]
        if group:
            best = torch.stack([one.distance for one in group]).amin(0)
            found[f"{maker}, all of them"] = Found(
                best, sum(one.queries for one in group), sum(one.seconds for one in group)
            )
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
    exact, image = net.double(), x.double() + delta.double()
    fooled = class_margin(exact(image), y) <= 0
    net.float()
    inside = ((image > -1e-6) & (image < 1 + 1e-6)).flatten(1).all(1)
    length = torch.linalg.vector_norm(delta.double().flatten(1), ord=ORDERS[norm], dim=1)
    return torch.where(fooled & inside, length, torch.inf)


def optimality(distance: Tensor, least: Tensor) -> float:
    """The share of the area between no attack and the best known that these distances (B,) cover."""
    most = least[least.isfinite()].max()
    area, best = (each.clamp(max=most).mean() for each in (distance, least))
    return float(1 - (area - best) / (most - best))


if __name__ == "__main__":
    sys.exit(main())
