"""The key of a run: a hash of everything that determines its results."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inradius.components.component import Component


def full_specs(components: Iterable[Component]) -> dict[str, str]:
    """The full spec of each component by its short one."""
    return {component.spec(): component.spec(full=True) for component in components}


def code_fingerprint(components: Iterable[Component]) -> str:
    """The sha256 of the source of inradius and of the packages that the components come from, in hexadecimal.

    With it in the key, a method that was corrected does not go on from the results it had before.
    """
    packages = sorted({"inradius", *(type(component).__module__.partition(".")[0] for component in components)})
    digest = hashlib.sha256()
    for package in packages:
        for file in _sources(package):
            digest.update(f"\0{package} {file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(package: str) -> list[Path]:
    """The Python files of an imported package or module; none for one that was typed in."""
    file = getattr(sys.modules.get(package), "__file__", None)
    if file is None:
        return []
    path = Path(file)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def run_key(settings: dict[str, Any]) -> str:
    """The sha256 of the settings that determine a run's results, in hexadecimal."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
