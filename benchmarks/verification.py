"""Complete verification: answers and CPU seconds on properties of VNN-COMP 2021, on colour images, and on Wasserstein balls.

    INRADIUS_REFERENCE_DATA=FOLDER python benchmarks/verification.py [acasxu] [mnistfc] [images] [wasserstein]

``acasxu``, ``mnistfc``: the instances of the folder ``vnncomp2021``, beside the answer of the majority of the tools in
its table ``expected.csv``. ``images``: the network ``cifar_cnn_a_mix.pth`` on the images of ``cifar10_sdp100.npz``, ℓ∞ 2/255 within
the box of pixels. ``wasserstein``: the network ``mnist_mlp_wasserstein`` on the first held-out images of mnist5k at radius 0.2, by
``certifier_cascade`` with a search. One thread, process CPU time; ``--seconds`` limits the CPU time of each search.
"""

import argparse
import csv
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

import inradius
from inradius import Certifier, Dataset, ThreatModel
from inradius.verification.verify_file import VerifyOptions, verify_file
from inradius_bounds.search import search_limit

FAMILIES = ("acasxu", "mnistfc")
MEAN, STD = (0.485, 0.456, 0.406), (0.225, 0.225, 0.225)
Answer = tuple[str, str, float]


def main() -> None:
    """Prints a line for each instance, and the counts of the answers of each kind."""
    options = arguments()
    torch.set_num_threads(1)
    # the limit of a search counts CPU time, which other processes do not take
    search_limit.time = SimpleNamespace(monotonic=time.process_time)
    runs: dict[str, Callable[[], Iterator[Answer]]] = {
        **{family: lambda family=family: instances(family, options.seconds) for family in FAMILIES},
        "images": lambda: images(range(options.first, options.last or 100), options.seconds),
        "wasserstein": lambda: wasserstein(range(options.first, options.last or 1000), options.seconds),
    }
    for name in options.what or runs:
        print(f"\n{name}, at most {options.seconds:g} CPU seconds for each search")
        told(runs[name]())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=[*FAMILIES, "images", "wasserstein"], help="by default all")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU seconds of each search (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first image (%(default)s)")
    parser.add_argument("--last", type=int, help="the number after the last image")
    return parser.parse_args()


def told(answers: Iterable[Answer]) -> None:
    """Prints answers as they come, and at the end their counts and the CPU seconds."""
    counts: Counter[str] = Counter()
    spent = []
    for name, status, seconds in answers:
        counts[status] += 1
        spent.append(seconds)
        print(f"{name:60s} {status:34s} {seconds:7.1f} s", flush=True)
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    print(f"{sum(spent):.1f} CPU s in all, {max(spent):.1f} at most, {np.median(spent):.2f} in the median")


def folder() -> Path:
    found = os.environ.get("INRADIUS_REFERENCE_DATA")
    if found is None:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference data")
    return Path(found)


def instances(family: str, seconds: float) -> Iterator[Answer]:
    """The answers to the instances of a family."""
    root = folder() / "vnncomp2021"
    with open(root / "expected.csv", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["category"] == family]
    for row in rows:
        # the clock limits the whole answer, and is generous because it does not count CPU time
        options, start = VerifyOptions(timeout=4 * seconds), time.process_time()
        prop = next(path for path in (root / family).iterdir() if path.name.startswith(row["property"]))
        found = verify_file(root / family / row["network"], prop, options).status
        known = "unsat" if int(row["tools_unsat"]) > int(row["tools_sat"]) else "sat"
        agrees = "" if found == known else f" (most tools: {known})"
        yield f"{row['network']} {row['property']}", found + agrees, time.process_time() - start


def images(chosen: Iterable[int], seconds: float) -> Iterator[Answer]:
    """The answers for the colour images with these numbers."""
    net = nn.Sequential(
        *(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(2048, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    net.load_state_dict(torch.load(folder() / "cifar_cnn_a_mix.pth", map_location="cpu", weights_only=True))
    model = nn.Sequential(inradius.Normalize(MEAN, STD), net).eval()
    stored = np.load(folder() / "cifar10_sdp100.npz")
    x, y = torch.from_numpy(stored["images"]).float() / 255, torch.from_numpy(stored["labels"]).long()
    search = inradius.make(f"branch_and_bound(seconds={seconds})", Certifier)
    threat = inradius.make("linf(eps=2/255)", ThreatModel)
    for i in chosen:
        yield answered(f"image {i}", model, x[i : i + 1], y[i : i + 1], threat, search)


def wasserstein(chosen: Iterable[int], seconds: float) -> Iterator[Answer]:
    """The answers for the held-out digits with these numbers."""
    data = inradius.make("mnist5k(split='held_out')", Dataset).take(max(chosen) + 1)
    model = inradius.make("mnist_mlp_wasserstein", nn.Module)
    search = inradius.make(f"certifier_cascade(seconds={seconds})", Certifier)
    threat = inradius.make("wasserstein(eps=0.2)", ThreatModel)
    for i in chosen:
        yield answered(f"image {i}", model, data.inputs[i : i + 1], data.labels[i : i + 1], threat, search)


def answered(name: str, model: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel, search: Certifier) -> Answer:
    """The answer of a search about one image."""
    start = time.process_time()
    if int(model(x).argmax(1)) != int(y):
        return name, "misclassified", time.process_time() - start
    found = search(model, x, y, threat)
    certified = f"certified, {found.claim[0]}"
    status = certified if bool(found.certified) else "undecided" if found.witness is None else "broken"
    return name, status, time.process_time() - start


if __name__ == "__main__":
    main()
