"""Training against a union of ℓ∞, ℓ2 and ℓ1: multi steepest descent beside the worst and the average over the parts.

    python benchmarks/unions.py                 # trains, attacks, prints a table in Markdown; goes on where it was stopped
    python benchmarks/unions.py --hull          # certificates of the convex hull beside those of each part, on an MLP

The three methods share network, data, seeds, epochs and steps of the inner attacks; the runs of a seed start from the same
weights, after a few epochs on clean images. The radii are those of Maini et al. 2020, times --factor. Accuracy on the
union is per example: right, and not fooled by any attack on any part. Needs mlxtend.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time

import torch
from scipy.stats import t as student
from torch import Tensor, nn

import inradius
from inradius import Attack, Certifier, Dataset, ThreatModel

UNION = "union(linf(eps=0.3), l2(eps=1.5), l1(eps=12.0))"
METHODS = {
    "msd": "adversarial(attack=msd(steps={steps}, keep_maximising=True))",
    "worst": "adversarial(attack=worst_part(pgd(steps={steps}, keep_maximising=True)))",
    "average": "average_parts(attack=pgd(steps={steps}, keep_maximising=True))",
}
ON_PARTS = ("pgd(steps={steps}, restarts=2)", "pgd(steps={steps}, objective=margin(), seed=1)")
ON_UNION = ("msd(steps={steps}, restarts=2)", "msd(steps={steps}, objective=margin(), random_start=True, seed=1)")
WARM_UP = 3

Right = dict[str, list[bool]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hull", action="store_true", help="the certificates, instead of the training")
    parser.add_argument("--factor", type=float, default=0.5, help="of the radii 0.3, 1.5 and 12")
    parser.add_argument("--model", default="mlp(784, 256, 10)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="of the attacks in training")
    parser.add_argument("--attack-steps", type=int, default=40, help="of the attacks that evaluate")
    parser.add_argument("--images", type=int, default=1000, help="held out, to evaluate on")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--folder", type=Path, default=Path("inradius-runs/unions"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.hull:
        compare_hull(options)
    else:
        compare_training(options)


def compare_training(options: argparse.Namespace) -> None:
    """Trains and attacks a network for each method and seed, and prints tables of accuracies and of their differences."""
    union = inradius.make(UNION, ThreatModel).scaled(options.factor)
    found: dict[str, list[Right]] = {method: [] for method in options.methods}
    for seed in range(options.seeds):
        for method in options.methods:
            found[method].append(answer(method, seed, union, options))
    print(
        f"\n`{union}`, {options.model}, {options.epochs} epochs, {options.steps} steps in training, "
        f"{options.images} held-out images, {options.attack_steps} steps in evaluation\n"
    )
    print("\n".join(accuracies(found)) + "\n")
    if "msd" in found:
        for other in [method for method in found if method != "msd"]:
            print("\n".join(differences(f"msd − {other}", found["msd"], found[other])) + "\n")


def answer(method: str, seed: int, union: ThreatModel, options: argparse.Namespace) -> Right:
    """The answer of ``standing`` for the network of one method and seed.

    It is read from its file if the run is done; otherwise the network is trained and attacked, and the answer is written there.
    """
    model_name = "".join(letter if letter.isalnum() else "-" for letter in options.model)
    name = f"{model_name}/{method}-factor{options.factor:g}-steps{options.steps}-epochs{options.epochs}"
    place = options.folder / f"{name}-seed{seed}-by{options.attack_steps}-on{options.images}.json"
    if place.exists():
        known: Right = json.loads(place.read_text())
        return known
    started = process_time()
    model = trained(method, seed, union, options.folder / f"{name}-seed{seed}", options)
    between = process_time()
    right = standing(model, inradius.make("mnist5k", Dataset).take(options.images), union, options.attack_steps)
    place.write_text(json.dumps(right))
    shares = ", ".join(f"{what} {100 * sum(row) / len(row):.1f}" for what, row in right.items())
    spent = f"{between - started:.0f} + {process_time() - between:.0f} s of CPU"
    print(f"{method} {seed}: {shares} ({spent})", flush=True)
    return right


def trained(method: str, seed: int, union: ThreatModel, folder: Path, options: argparse.Namespace) -> nn.Module:
    """A network trained by a method, from weights that a few clean epochs gave.

    All methods of a seed start from the same weights.
    """
    data = inradius.make("mnist5k(split='train')", Dataset)
    common = {"batch_size": 50, "validation": 0.0, "seed": seed}
    warm = folder.parent / f"clean-seed{seed}"
    start = inradius.train("standard", options.model, data, UNION, folder=warm, epochs=WARM_UP, **common)
    defense = METHODS[method].format(steps=options.steps)
    return inradius.train(defense, start, data, union, folder=folder, epochs=options.epochs, **common)


def standing(model: nn.Module, data: Dataset, union: ThreatModel, steps: int) -> Right:
    """True for each example that the model classifies correctly, in one list for each of these settings, by name.

    "clean": without a perturbation. The name of a part: also under the attacks on that part. "union": also under the attacks on
    all parts and on the union.
    """
    with torch.no_grad():
        clean = model(data.inputs).argmax(1) == data.labels
    right = {"clean": clean}
    for part in union.members():
        right[part.spec_name()] = withstood(model, data, part, ON_PARTS, clean, steps)
    every = torch.stack(list(right.values())).all(0)
    right["union"] = withstood(model, data, union, ON_UNION, every, steps)
    return {what: row.tolist() for what, row in right.items()}


def withstood(
    model: nn.Module, data: Dataset, threat: ThreatModel, attacks: Sequence[str], left: Tensor, steps: int
) -> Tensor:
    """``left`` (N,) without the examples that an attack breaks, (N,).

    Each attack runs only on the examples that the attacks before it have not broken.
    """
    left = left.clone()
    for spec in attacks:
        attack, rows = inradius.make(spec.format(steps=steps), Attack), left.nonzero().squeeze(1)
        for batch in data.select(rows).batches(250):
            found = attack(model, batch.inputs, batch.labels, threat, index=batch.index)
            left[torch.isin(data.index, batch.index[found.success])] = False
    return left


def accuracies(found: dict[str, list[Right]]) -> Iterator[str]:
    """The lines of a table with the mean and the range of the accuracies over the seeds, one row for each method."""
    names = list(next(iter(found.values()))[0])
    yield "| training | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for method, runs in found.items():
        cells = []
        for what in names:
            shares = [100 * sum(run[what]) / len(run[what]) for run in runs]
            cells.append(f"{sum(shares) / len(shares):.1f} ({min(shares):.1f} to {max(shares):.1f})")
        yield f"| {method} | " + " | ".join(cells) + " |"


def differences(title: str, ours: list[Right], others: list[Right]) -> Iterator[str]:
    """A table of the differences in accuracy on the union with 95 % intervals, a line for each seed and one for their mean."""
    yield f"| {title}, union, points | difference | 95 % interval |"
    yield "|---|---|---|"
    means = []
    for seed, (a, b) in enumerate(zip(ours, others, strict=True)):
        gap = torch.tensor(a["union"]).double() - torch.tensor(b["union"]).double()
        means.append(100 * float(gap.mean()))
        half = 100 * 1.96 * float(gap.std()) / math.sqrt(len(gap))
        yield f"| seed {seed}, over the images | {means[-1]:+.1f} | {means[-1] - half:+.1f} to {means[-1] + half:+.1f} |"
    if len(means) > 1:
        mean, spread = float(torch.tensor(means).mean()), float(torch.tensor(means).std())
        half = float(student.ppf(0.975, len(means) - 1)) * spread / math.sqrt(len(means))
        yield f"| mean of {len(means)} seeds, over the seeds | {mean:+.1f} | {mean - half:+.1f} to {mean + half:+.1f} |"


def compare_hull(options: argparse.Namespace) -> None:
    """Prints a table of the certified accuracy on each part, on all parts, and on the hull in one pass, for several radii."""
    data, held_out = inradius.make("mnist5k(split='train')", Dataset), inradius.make("mnist5k", Dataset)
    held_out = held_out.take(options.images)
    threat = inradius.make("union(l1(eps=2.5), l2(eps=0.35), linf(eps=0.018))", ThreatModel)
    model = inradius.train(
        "standard", "mlp(784, 100, 100, 10)", data, threat, folder=options.folder / "mlp", epochs=10, validation=0.0
    )
    dual = inradius.make("dual", Certifier)
    print(f"`{threat}` times a factor, `{dual}`, {len(held_out)} held-out images, an MLP 784-100-100-10\n")
    print(
        "| factor | "
        + " | ".join(part.spec_name() for part in threat.members())
        + " | each | hull | CPU, hull / each |"
    )
    print("|---" * (len(threat.members()) + 4) + "|")
    for factor in (0.8, 1.0, 1.5, 2.0, 2.5):
        scaled = threat.scaled(factor)
        alone = [certified(dual, model, held_out, part, "each")[0] for part in scaled.members()]
        each, slow = certified(dual, model, held_out, scaled, "each")
        hull, fast = certified(dual, model, held_out, scaled, "hull")
        shares = " | ".join(f"{share:.1f}" for share in (*alone, each, hull))
        print(f"| {factor:g} | {shares} | {fast / slow:.2f} |", flush=True)


def certified(
    certifier: Certifier,
    model: nn.Module,
    data: Dataset,
    threat: ThreatModel,
    union: inradius.certifiers.certifier.UnionMode,
) -> tuple[float, float]:
    """The percentage of examples that are certified, and the CPU seconds that it took."""
    started, count = process_time(), 0
    with torch.no_grad():
        for batch in data.batches(100):
            count += int(certifier(model, batch.inputs, batch.labels, threat, union=union).certified.sum())
    return 100 * count / len(data), process_time() - started


if __name__ == "__main__":
    main()
