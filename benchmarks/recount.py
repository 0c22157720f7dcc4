"""Whether what attacks count as successes fools the model again: alone, in batches of 17, and in float64.

Run by hand; a row for each network, set and attack, and the exit status 1 where a success does not reproduce:

    python benchmarks/recount.py --images 30

Every registered attack meets every set, with few steps; what it refuses is listed with its reason. A success that is
recounted is the δ of the answer on the same image: no attack is run twice. Balls of moved mass take most of the time;
``--networks``, ``--sets`` and ``--attacks`` choose a part.
"""

import argparse
import copy
import sys
import time
import warnings
from collections.abc import Iterator

import attrs
import torch
from torch import Tensor, nn

import inradius
from inradius import Attack, InradiusError, ThreatModel
from inradius.attacks.attack import Attacked
from inradius.attacks.objective import class_margin
from inradius.components.registry import entries

# few steps: an attack that stops on the boundary does so after few as well
SPECS = {
    "apgd": "apgd(steps=10)",
    "apgd_t": "apgd_t(steps=5, classes=2)",
    "art": "art('DeepFool')",
    "attack_cascade": "attack_cascade(fgsm(), fmn(steps=10))",
    "autoattack": "autoattack(steps=5, classes=2, queries=50)",
    "bab_attack": "bab_attack(seconds=1, steps=2)",
    "beta": "beta(steps=5, classes=2)",
    "boundary": "boundary(queries=200)",
    "cw": "cw(searches=3, steps=30)",
    "ddn": "ddn(steps=20)",
    "deepfool": "deepfool(steps=10)",
    "ead": "ead(searches=3, steps=30)",
    "eot": "eot(pgd(steps=5), samples=2)",
    "fab": "fab(steps=10, classes=3)",
    "fab_t": "fab_t(steps=10, classes=3)",
    "fgsm": "fgsm()",
    "fgsm_rs": "fgsm_rs()",
    "fmn": "fmn(steps=20)",
    "foolbox": "foolbox('LinfDeepFoolAttack')",
    "frank_wolfe": "frank_wolfe(steps=10)",
    "friendly_pgd": "friendly_pgd(steps=10)",
    "gaussian_noise": "gaussian_noise(queries=10)",
    "grow": "grow(pgd(random_start=False), start=0.3, every=5, steps=40)",
    "hop_skip_jump": "hop_skip_jump(queries=200, samples=10)",
    "inradius_suite": "inradius_suite(steps=5, classes=2, probe=20, queries=20)",
    "jsma": "jsma()",
    "mim": "mim(steps=10)",
    "msd": "msd(steps=10)",
    "n_fgsm": "n_fgsm()",
    "pgd": "pgd(steps=10)",
    "pointwise": "pointwise(queries=300, tries=50)",
    "r_fgsm": "r_fgsm()",
    "restarts": "restarts(ddn(steps=10), n=2)",
    "salt_and_pepper": "salt_and_pepper(queries=50)",
    "sparse_l1_descent": "sparse_l1_descent(steps=10)",
    "spsa": "spsa(steps=3, samples=8)",
    "square": "square(queries=50)",
    "torchattacks": "torchattacks('DeepFool')",
    "transfer": "transfer(deepfool(steps=10), model={surrogate!r})",
    "uniform_noise": "uniform_noise(queries=10)",
    "if_zero_gradient": "if_zero_gradient(square(queries=50))",
    "worst": "worst(fmn(steps=10), deepfool(steps=10))",
    "worst_part": "worst_part(pgd(steps=5))",
}
LARGE = (
    *("linf(eps=0.2)", "l2(eps=2.0)", "l1(eps=15.0)", "l0(k=20)", "patch(size=7)", "wasserstein(eps=0.5)"),
    "union(linf(eps=0.15), l2(eps=1.5), l1(eps=12.0))",
)
SMALL = (
    *("linf(eps=0.2)", "l2(eps=1.0)", "l1(eps=4.0)", "l0(k=6)", "patch(size=3)", "wasserstein(eps=0.5)"),
    "union(linf(eps=0.15), l2(eps=0.8), l1(eps=3.0))",
)
BATCH = 17


@attrs.frozen(eq=False)
class Task:
    """A network with images (B, *S) that it classifies, labels (B,), the sets, and the spec of a network like it."""

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor
    sets: tuple[str, ...]
    surrogate: str


def main() -> None:
    """Prints a row for each combination, then the sums."""
    options = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    missing = sorted({name for name, entry in entries().items() if entry.kind is Attack} - SPECS.keys())
    if missing:
        sys.exit(f"{', '.join(missing)}: attacks that are not in the table of this script")
    row("network", "set", "attack", "successes", "within rounding", "alone", f"in {BATCH}", "float64", "seconds")
    successes = lost = refused = 0
    for task in tasks(options.images):
        for threat in task.sets if chosen(task.name, options.networks) else ():
            for name in SPECS if chosen(threat.partition("(")[0], options.sets) else ():
                if not chosen(name, options.attacks):
                    continue
                found = recounted(
                    task, inradius.make(threat, ThreatModel), SPECS[name].format(surrogate=task.surrogate)
                )
                row(task.name, threat.partition("(")[0], name, *found)
                if isinstance(found[0], int):
                    successes, lost = successes + found[0], lost + sum(map(int, found[2:5]))
                else:
                    refused += 1
    print(f"{successes} successes, {lost} recounts that differ, {refused} combinations refused")
    sys.exit(int(lost > 0))


def chosen(name: str, names: str) -> bool:
    """True where ``name`` is in the comma-separated list ``names``, or that list is empty."""
    return not names or name in names.split(",")


def recounted(task: Task, threat: ThreatModel, spec: str) -> tuple[object, ...]:
    """Successes, answers within rounding, successes that are none alone, in batches, in float64, and the time."""
    start = time.perf_counter()
    try:
        found = inradius.make(spec, Attack)(task.model, task.x, task.y, threat)
    except InradiusError as error:
        return (f"refused: {str(error).splitlines()[0]}",)
    seconds = time.perf_counter() - start
    sums = (int(found.success.sum()), int(found.within_rounding.sum()))
    return (*sums, *(int(missed) for missed in misses(task, found)), f"{seconds:.1f}")


@torch.no_grad()
def misses(task: Task, found: Attacked) -> Iterator[int]:
    """How many successes are classified correctly, alone, in batches and in float64; a tie is no success."""
    x, y, delta = task.x[found.success], task.y[found.success], found.delta[found.success]
    exact = copy.deepcopy(task.model).double()
    for model, size, dtype in ((task.model, 1, x.dtype), (task.model, BATCH, x.dtype), (exact, 1, torch.float64)):
        pieces = zip(x.to(dtype).split(size), delta.to(dtype).split(size), strict=True)
        logits = [model(image + moved) for image, moved in pieces]
        yield int((class_margin(torch.cat(logits), y) >= 0).sum()) if logits else 0


def tasks(images: int) -> Iterator[Task]:
    """The networks, each with the first images that it classifies correctly."""
    for name in ("mnist_small_standard", "mnist_small_adversarial"):
        yield task(name, inradius.load_model(name), "mnist5k(split='held_out')", images, LARGE, "mnist_small_standard")
    yield task("tanh", tanh(), "digits(split='held_out')", images, SMALL, "mlp(64, 32, 10)")


def task(name: str, model: nn.Module, data: str, images: int, sets: tuple[str, ...], surrogate: str) -> Task:
    """A task on images of the data set."""
    found = inradius.make(data, inradius.Dataset)
    with torch.no_grad():
        right = (model(found.inputs).argmax(1) == found.labels).nonzero().squeeze(1)[:images]
    return Task(name, model, found.inputs[right], found.labels[right], sets, surrogate)


def tanh() -> nn.Module:
    """A network with a hidden layer of tanh, trained on the digits; equal on every run."""
    data = inradius.make("digits(split='train')", inradius.Dataset)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data.inputs), data.labels).backward()
        optimizer.step()
    return model.eval()


def row(*cells: object) -> None:
    """A row of the table, written at once."""
    widths = (24, 12, 18, 10, 16, 6, 6, 8)
    print(*(str(cell).ljust(width) for cell, width in zip(cells, (*widths, 0), strict=False)), flush=True)


def arguments() -> argparse.Namespace:
    """The parsed arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=30, help="images for each network")
    for name in ("networks", "sets", "attacks"):
        parser.add_argument(f"--{name}", default="", help="names, with commas; default: all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
