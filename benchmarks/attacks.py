"""What our attacks cost and find beside those of other libraries: processor time on one thread, as ratios.

Run by hand, in an environment that also has the libraries and mlxtend (torchattacks and pyautoattack with `--no-deps`,
which keeps torch as it is):

    python benchmarks/attacks.py --weights FOLDER --only pgd,apgd,suites,ddn,l1

The networks, the 32-64-1024 one of the MNIST experiments after standard training and after adversarial training with an
ℓ∞ radius of 0.3, are trained on the first run and kept in FOLDER; the second takes a quarter of an hour. Every
contender gets the same images in the same chunks, one after the other and in turns, and the same budget. What it finds is
judged on the plain model: a point outside of the set counts for nothing.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import inradius
from inradius import Attack, Dataset, ThreatModel
from inradius.attacks.objective import class_margin
from inradius.models.fuse import optimize

PEERS = {
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "art": "adversarial-robustness-toolbox",
    "pyautoattack": "pyautoattack",
    "mlxtend": "mlxtend",
}
CHUNK = 100
OURS = "inradius"

# images and labels -> perturbations
Perturb = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Prints the tables of the sections that are asked for."""
    options = arguments()
    missing = [package for module, package in PEERS.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(
            f"{', '.join(missing)} not installed; `pip install --no-deps {' '.join(missing)}` keeps torch as it is"
        )
    torch.set_num_threads(1)
    for section in options.only.split(","):
        if section not in SECTIONS:
            sys.exit(f"there is no section {section!r}; there are {', '.join(SECTIONS)}")
        SECTIONS[section](options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(tempfile.gettempdir()) / "inradius-benchmarks"
    parser.add_argument("--weights", type=Path, default=folder, help="folder of the trained networks (%(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="how often every chunk is attacked (%(default)s)")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between (%(default)s)")
    parser.add_argument("--images", type=int, help="how many images each section takes, instead of its own number")
    return parser.parse_args()


def standard(folder: Path) -> nn.Module:
    """The network after four epochs of standard training."""
    return trained(folder / "mnist_cnn_standard.safetensors", [("standard", "linf(eps=0)", 4, 1e-3)])


def adversarial(folder: Path) -> nn.Module:
    """The network after adversarial training, whose losses lead attacks astray more than the other's."""
    stages = [
        ("standard", "linf(eps=0)", 2, 1e-3),
        ("adversarial(pgd(steps=5, step=0.3, keep_maximising=True))", "linf(eps=0.15)", 2, 5e-4),
        ("adversarial(pgd(steps=7, step=0.25, keep_maximising=True))", "linf(eps=0.3)", 12, 5e-4),
    ]
    return trained(folder / "mnist_cnn_adversarial.safetensors", stages)


def trained(file: Path, stages: list[tuple[str, str, int, float]]) -> nn.Module:
    """The network of the MNIST experiments with the weights in ``file``; where there are none it is trained first."""
    model = inradius.make("mnist_cnn()", nn.Module)
    if file.exists():
        model.load_state_dict(load_file(file))
        return model.eval()
    data, name = "mnist5k(split='train')", "mnist_cnn"
    for number, (defense, threat, epochs, rate) in enumerate(stages):
        last = number == len(stages) - 1
        found = inradius.train(
            defense,
            name,
            data,
            threat,
            folder=file.with_suffix("") / str(number),
            epochs=epochs,
            batch_size=50,
            lr=rate,
            schedule="cosine" if last else "constant",
            progress=True,
        )
        name = found  # the next stage goes on with it
    save_file(found.state_dict(), file)
    return found.eval()


def images(count: int) -> tuple[Tensor, Tensor]:
    data = inradius.make("mnist5k(split='held_out')", Dataset)
    return data.inputs[:count], data.labels[:count]


def ours(model: nn.Module, spec: str, threat: ThreatModel) -> dict[str, Perturb]:
    """Our attack on the model, and on its optimised copy."""
    attack, copied = inradius.make(spec, Attack), optimize(model)
    return {
        f"{OURS} {attack.spec_name()}": lambda x, y: attack(model, x, y, threat).delta,
        f"{OURS} {attack.spec_name()}, optimised": lambda x, y: attack(copied, x, y, threat).delta,
    }


def pgd(options: argparse.Namespace) -> None:
    """40 steps of a tenth of the radius from one random start."""
    for title, model, eps, count, aim in [
        ("standard training, about 70 % robust", standard(options.weights), 0.1, 200, "0.85, optimised 0.65"),
        ("standard training, broken", standard(options.weights), 0.3, 100, "0.2"),
        ("adversarial training", adversarial(options.weights), 0.3, 100, "0.85, optimised 0.65"),
    ]:
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        contenders = ours(model, "pgd(steps=40, step=0.1)", threat) | pgd_of_peers(model, eps)
        race(f"PGD-40, {title}, linf eps={eps}", model, threat, contenders, options, count, aim)


def pgd_of_peers(model: nn.Module, eps: float) -> dict[str, Perturb]:
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    fool = foolbox.attacks.LinfPGD(steps=40, abs_stepsize=eps / 10, random_start=True)
    torch_pgd = torchattacks.PGD(model, eps=eps, alpha=eps / 10, steps=40, random_start=True)
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1), device_type="cpu")
    settings = {"eps": eps, "eps_step": eps / 10, "max_iter": 40, "num_random_init": 1, "batch_size": CHUNK}
    art = ProjectedGradientDescentPyTorch(classifier, verbose=False, **settings)
    return {
        "foolbox": lambda x, y: fool(wrapped, x, y, epsilons=eps)[1] - x,
        "torchattacks": lambda x, y: torch_pgd(x, y) - x,
        "ART": lambda x, y: torch.from_numpy(art.generate(x.numpy(), y.numpy())) - x,
    }


def apgd(options: argparse.Namespace) -> None:
    """100 iterations of APGD on the cross-entropy, and the targeted ones."""
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

    for title, model, eps in [
        ("standard training", standard(options.weights), 0.1),
        ("adversarial training", adversarial(options.weights), 0.3),
    ]:
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        theirs = APGDAttack(model, eps=eps, norm="Linf", loss="ce", seed=0, device="cpu")
        contenders = ours(model, "apgd", threat) | {"pyautoattack": lambda x, y, a=theirs: a.perturb(x, y) - x}
        race(f"APGD-CE, {title}, linf eps={eps}", model, threat, contenders, options, 100, "1, within one image")
        aimed = APGDAttack_targeted(model, eps=eps, norm="Linf", seed=0, device="cpu")
        contenders = ours(model, "apgd_t", threat) | {"pyautoattack": lambda x, y, a=aimed: a.perturb(x, y) - x}
        race(f"APGD-T, {title}, linf eps={eps}", model, threat, contenders, options, 50, "1")


def suites(options: argparse.Namespace) -> None:
    """The standard suite, and ours."""
    from pyautoattack import AutoAttack

    for title, model, eps in [
        ("standard training", standard(options.weights), 0.1),
        ("adversarial training", adversarial(options.weights), 0.3),
    ]:
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        theirs = AutoAttack(model, eps=eps, norm="Linf", seed=0, version="standard", device="cpu")
        contenders = ours(model, "autoattack", threat) | ours(model, "inradius_suite", threat)
        contenders["pyautoattack"] = lambda x, y, a=theirs: a.run_standard_evaluation(x, y, batch_size=CHUNK)[0] - x
        aim = "0.75, suite 0.25 of ours"
        race(f"AutoAttack, {title}, linf eps={eps}", model, threat, contenders, options, 50, aim)


def ddn(options: argparse.Namespace) -> None:
    """50 steps of DDN: the median of the ℓ2 norms that fool."""
    import foolbox

    for title, model in [
        ("standard training", standard(options.weights)),
        ("adversarial training", adversarial(options.weights)),
    ]:
        threat = inradius.make("l2(eps=1)", ThreatModel)
        wrapped, theirs = foolbox.PyTorchModel(model, bounds=(0, 1)), foolbox.attacks.DDNAttack(steps=50)
        peer = {"foolbox": lambda x, y, a=theirs, m=wrapped: a(m, x, y, epsilons=None)[0] - x}
        contenders = ours(model, "ddn(steps=50)", threat) | peer
        race(f"DDN-50, {title}, l2", model, threat, contenders, options, 100, "1, no larger norm", smallest=True)


def l1(options: argparse.Namespace) -> None:
    """100 steps in the ℓ1 ball, with and without the box in mind."""
    import foolbox
    from pyautoattack.autopgd_base import APGDAttack

    model, eps = standard(options.weights), 10
    threat = inradius.make(f"l1(eps={eps})", ThreatModel)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    plain = foolbox.attacks.L1PGD(steps=100)
    theirs = APGDAttack(model, eps=eps, norm="L1", loss="ce", seed=0, device="cpu", use_largereps=True)
    contenders = ours(model, "apgd", threat) | {
        "foolbox, plain PGD": lambda x, y: plain(wrapped, x, y, epsilons=eps)[1] - x,
        "pyautoattack": lambda x, y: theirs.perturb(x, y) - x,
    }
    aim = "1, far fewer robust than plain PGD leaves"
    race(f"ℓ1, standard training, l1 eps={eps}", model, threat, contenders, options, 50, aim)


SECTIONS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "pgd": pgd,
    "apgd": apgd,
    "suites": suites,
    "ddn": ddn,
    "l1": l1,
}


def race(
    title: str,
    model: nn.Module,
    threat: ThreatModel,
    contenders: Mapping[str, Perturb],
    options: argparse.Namespace,
    count: int,
    aim: str,
    *,
    smallest: bool = False,
) -> None:
    """Prints what each contender finds and costs; ratios are to the peer that is fastest in the same repeat."""
    x, y = images(options.images or count)
    for perturb in contenders.values():  # the first call of a library pays for its imports and torch's caches
        perturb(x[:2], y[:2])
    seconds = {name: [0.0] * options.repeats for name in contenders}
    deltas: dict[str, list[Tensor]] = {name: [] for name in contenders}
    for repeat, rows, order in schedule(list(contenders), len(x), options.repeats):
        for name in order:
            begin = time.process_time()
            delta = contenders[name](x[rows], y[rows])
            seconds[name][repeat] += time.process_time() - begin
            if repeat == 0:
                deltas[name].append(delta.detach())
    print(f"\n{title}, {len(x)} images, {options.repeats} repeats; aim: a ratio of {aim}")
    peers = [spent for name, spent in seconds.items() if not name.startswith(OURS)]
    fastest = [min(column) for column in zip(*peers, strict=True)]
    for name, spent in seconds.items():
        ratios = [a / b for a, b in zip(spent, fastest, strict=True)]
        found = judged(model, x, y, torch.cat(deltas[name]), threat, smallest)
        print(
            f"  {name:34} {found}   CPU s {statistics.median(spent):7.2f}   ratio {statistics.median(ratios):.2f}",
            flush=True,
        )


def schedule(names: list[str], count: int, repeats: int) -> Iterator[tuple[int, slice, list[str]]]:
    """Each repeat, the slice of each chunk, and the contenders in rotated order, so that a busy machine slows all of them alike."""
    for repeat in range(repeats):
        for number, first in enumerate(range(0, count, CHUNK)):
            turn = (repeat + number) % len(names)
            yield repeat, slice(first, first + CHUNK), names[turn:] + names[:turn]


@torch.no_grad()
def judged(model: nn.Module, x: Tensor, y: Tensor, delta: Tensor, threat: ThreatModel, smallest: bool) -> str:
    """How many images are still classified right, or the median gauge of what fools, as the plain model and the set say.

    The smallest perturbations end on the boundary, where rounding decides: a margin of 1e-3 counts as fooled there.
    """
    margin = class_margin(model(x + delta), y)
    if smallest:
        fooled = (margin <= 1e-3) & (threat.violation(delta, x) <= 1e-5)
        size = torch.where(fooled, threat.gauge(delta, x), torch.inf)
        return f"median {size.median():.4f}, fooled {int(fooled.sum())}, of them by rounding {int((fooled & (margin > 0)).sum())}"
    return f"robust {int((~((margin <= 0) & threat.contains(delta, x))).sum()):3d} of {len(x)}"


if __name__ == "__main__":
    main()
