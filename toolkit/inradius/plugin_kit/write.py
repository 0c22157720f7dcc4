"""Writing a new plugin: its modules, its laws as tests, and what makes it a distribution."""

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import attrs

from inradius._version import __version__
from inradius.components.plugin_api import DECLARED, PLUGIN_API
from inradius.errors import InputError
from inradius.plugin_kit.kinds import Kind, kind_of
from inradius.plugin_kit.names import Names, check_free, names_of
from inradius.stored.files import writing

_HERE = files("inradius.plugin_kit")
# more kinds are counted, not named
_MANY = 4
_CASES = (
    "What the tests and `inradius plugins --check` check; add a case for each parameter that changes what is computed."
)
# where the files of the distribution go, by the names of their templates
_PROJECT = {
    "pyproject.txt": "pyproject.toml",
    "readme.txt": "README.md",
    "ignore.txt": ".gitignore",
    "workflow.txt": ".github/workflows/ci.yml",
    "conftest.txt": "tests/conftest.py",
    "laws.txt": "tests/test_laws.py",
}


@attrs.frozen
class Part:
    """A component of a new plugin: its kind, its class and its spec name."""

    kind: Kind
    cls: str
    spec: str

    def say(self, text: str) -> str:
        """The text with the names in it."""
        return text.format(cls=self.cls, spec=self.spec)


def write_plugin(name: str, kinds: Sequence[str], folder: Path | None = None) -> list[Path]:
    """The files of a new distribution with a component of each kind, written to ``folder`` (by default one of its name).

    Raises ``SpecError`` for a name that cannot be had and for an unknown kind, ``InputError`` where there are no kinds or the
    folder has files already, and ``StorageError`` where it cannot be written.
    """
    chosen = list(dict.fromkeys(kind_of(kind) for kind in kinds))
    if not chosen:
        raise InputError(
            "no kind of component is given; allowed are one or several, as in --kind attack --kind threat_model"
        )
    names = names_of(name)
    parts = [_part(names, kind, alone=len(chosen) == 1) for kind in chosen]
    place = Path(names.distribution) if folder is None else folder
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError(f"{str(place)!r} exists and is not an empty folder; give another --folder")
    written = []
    for path, text in _texts(names, parts).items():
        with writing(place / path):
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text, "utf-8")
        written.append(place / path)
    return written


def _part(names: Names, kind: Kind, *, alone: bool) -> Part:
    end = None if alone else kind.name
    check_free(names.spec(end))
    return Part(kind, names.cls(end), names.spec(end))


def _texts(names: Names, parts: list[Part]) -> dict[str, str]:
    """The text of each file, by its path."""
    source = f"src/{names.module}"
    texts = {target: _filled(_HERE / "project" / name, names, parts) for name, target in _PROJECT.items()}
    texts |= {f"{source}/__init__.py": _front(names, parts), f"{source}/py.typed": ""}
    for part in parts:
        code = (_HERE / "templates" / f"{part.kind.name}.py").read_text("utf-8")
        texts[f"{source}/{part.kind.name}.py"] = code.replace("AcmeName", part.cls).replace("acme_name", part.spec)
    return texts


def _filled(template: Traversable, names: Names, parts: list[Part]) -> str:
    """A file of the distribution, its ``$words`` replaced."""
    words = {
        "distribution": names.distribution,
        "module": names.module,
        "nouns": _listed([part.kind.noun for part in parts]),
        "specs": "\n".join(
            f"- `{part.spec}`, {part.kind.noun}: `src/{names.module}/{part.kind.name}.py`" for part in parts
        ),
        "describe": parts[0].spec if parts[0].kind.name != "layer_rule" else parts[0].cls,
        "release": ".".join(__version__.split(".")[:2]),
        "api": PLUGIN_API,
    }
    text = template.read_text("utf-8")
    return re.sub(r"\$(\w+)\$", lambda found: words[found[1]], text)


def _listed(words: list[str]) -> str:
    if len(words) > _MANY:
        return f"{len(words)} kinds of components"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _front(names: Names, parts: list[Part]) -> str:
    """The module of the plugin: what it registers."""
    lines = [f'"""{names.distribution}: {_listed([part.kind.noun for part in parts])} for inradius."""', ""]
    lines += [*_imports(names, parts), "", "# the version of the plugin API that this was written for"]
    lines += [f'{DECLARED} = "{PLUGIN_API}"', ""]
    for part in parts:
        lines += ["", "@hookimpl", f"def {part.kind.hook}() -> {part.kind.returns}:"]
        lines += [f"    return {part.say(part.kind.answer)}", ""]
    lines += ["", "@hookimpl", "def law_cases() -> dict[str | nn.Module, dict[str, Any]]:"]
    lines += [f'    """{_CASES}"""']
    lines += ["    return {"]
    lines += [f"        {part.say(part.kind.case)}: {part.say(part.kind.options)}," for part in parts]
    return "\n".join([*lines, "    }", ""])


def _imports(names: Names, parts: list[Part]) -> list[str]:
    returned = " ".join(part.kind.returns for part in parts)
    slots = sorted(set(re.findall(r"\b(Transform|Sampler|Regularizer|Direction|Update|Schedule|Monitor)\b", returned)))
    core = sorted(
        set(re.findall(r"\b(ThreatModel|Attack|Certifier|Defense|Objective|Outcome|Dataset|LayerRule)\b", returned))
    )
    lines = ["from collections.abc import Callable"] if "Callable" in returned else []
    lines += [
        "from typing import Any",
        "",
        "from torch import nn",
        "",
        f"from inradius import {', '.join([*core, 'hookimpl'])}",
    ]
    lines += [f"from inradius.training.slots import {', '.join(slots)}"] if slots else []
    own = sorted(f"from {names.module}.{part.kind.name} import {part.say(part.kind.imported)}" for part in parts)
    return [*lines, "", *own]
