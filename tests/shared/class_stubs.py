"""The type stubs of ``inradius.attacks``, ``certifiers``, ``sets`` and ``defenses``, made from the first-party plugins.

``python tests/shared/class_stubs.py`` writes them anew.
"""

from pathlib import Path

from inradius.components.classes import classes_of

ROOT = Path(__file__).parents[2]
STUBS = {
    "attacks": "attacks/__init__.pyi",
    "certifiers": "certifiers/__init__.pyi",
    "threat_models": "sets/__init__.pyi",
    "defenses": "defenses.pyi",
}
HEAD = "# Made by tests/shared/class_stubs.py from the first-party plugins; classes of other plugins have no static type here.\n"


def stub(hook):
    """The text of a stub: the classes of a hook that this distribution brings."""
    classes = [found for found in classes_of(hook).values() if found.__module__.startswith("inradius_")]
    lines = [f"from {found.__module__} import {found.__name__} as {found.__name__}" for found in classes]
    return "\n".join(
        [f"{HEAD}from typing import Any\n", *sorted(lines), "", "def __getattr__(name: str) -> Any: ...", ""]
    )


if __name__ == "__main__":
    for hook, file in STUBS.items():
        (ROOT / "toolkit" / "inradius" / file).write_text(stub(hook))
