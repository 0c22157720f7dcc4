"""The record of a run: the question and everything that determines the answer, the run's key, and the machine."""

import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions, entry_points
from pathlib import Path
from typing import Any

import attrs
import torch

from inradius._version import __version__
from inradius.components.component import Component
from inradius.components.hookimpl import NAMESPACE


@attrs.frozen(kw_only=True)
class Setting:
    """Everything that determines a report: the specs in full, the model, the data, and the options of the run.

    attacks, certifiers: the full spec of each, by the short one that the examples name; radius: the threat model's
    ``eps``, None where it has none; convention: the unit and norm of that radius, where the set says it; bounds: the box of
    valid inputs; code: the hash of the source of inradius and of the methods' packages; key: the hash that names the run;
    reuse: other radii of a curve may have decided examples; optimize_model: attacks asked a quicker copy of the model;
    minimal: the attacks that look for the smallest perturbation; accept_solver: a solver's word counts as certified; claim:
    the level that a proof must have to count, "real" in reports that name none; outcome:
    what counts as broken; votes: the passes that judged a random model, 1 for a deterministic one; weights: the hash of the
    parameters and buffers alone, "" in reports that have none; time: the limit in seconds, where methods ran from the cheapest on.
    """

    threat: str
    attacks: Mapping[str, str]
    certifiers: Mapping[str, str]
    union: str
    seed: int
    audit: float
    exhaustive: bool
    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    radius: float | None
    bounds: tuple[float, float] | None
    version: str
    code: str
    key: str
    convention: str = ""
    reuse: bool = False
    optimize_model: bool = False
    minimal: tuple[str, ...] = ()
    accept_solver: bool = False
    claim: str = "real"
    outcome: str = "top1()"
    votes: int = 1
    weights: str = ""
    time: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Setting":
        """The setting that ``attrs.asdict`` turned into a JSON record."""
        bounds = record["bounds"]
        minimal = tuple(record.get("minimal", ()))
        return cls(**{**record, "bounds": tuple(bounds) if bounds else None, "minimal": minimal})


def full_specs(components: Iterable[Component]) -> dict[str, str]:
    """The full spec of each component by its short one."""
    return {component.spec(): component.spec(full=True) for component in components}


def code_fingerprint(components: Iterable[Component]) -> str:
    """The sha256 of the source of inradius and of the packages that the components come from, in hexadecimal.

    It is a part of the key: a run does not go on from the results of a method whose code has changed.
    """
    packages = sorted({"inradius", *(type(component).__module__.partition(".")[0] for component in components)})
    digest = hashlib.sha256()
    for package in packages:
        for file in _sources(package):
            digest.update(f"\0{package} {file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(package: str) -> list[Path]:
    """The Python files of an imported package or module; none where it has no file, as in an interactive session."""
    file = getattr(sys.modules.get(package), "__file__", None)
    if file is None:
        return []
    path = Path(file)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def run_key(settings: dict[str, Any]) -> str:
    """The sha256 of the settings that determine a run's results, in hexadecimal."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def environment(device: torch.device) -> dict[str, object]:
    """Versions, machine, threads, device and the time, as plain values; plugins are listed, not loaded.

    packages: the version of each installed distribution.
    """
    found = [entry.dist for entry in entry_points(group=NAMESPACE) if entry.dist]
    return {
        "inradius": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "plugins": {dist.name: dist.version for dist in sorted(found, key=lambda dist: dist.name)},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(device) if device.type != "cuda" else f"{device} ({torch.cuda.get_device_name(device)})",
        "packages": _packages(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# reading a few hundred names takes longer than a small run
@cache
def _packages() -> dict[str, str]:
    """The version of each installed distribution, by name; of several with one name that of the first on the path."""
    found = {str(dist.name): dist.version for dist in reversed(list(distributions()))}
    return dict(sorted(found.items()))
