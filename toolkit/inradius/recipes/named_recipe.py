"""A recipe by name: everything that a training of a paper needs, at the scale that is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import attrs

from inradius.errors import SpecError
from inradius.recipes.toml_file import check_keys, files_in, find_file, read_toml, value_of
from inradius.training.options import FIELDS

Scale = Literal["paper", "small"]
SCALES: tuple[Scale, ...] = get_args(Scale)

FOLDER = Path(__file__).parent
# what stands for the folder of data files in a recipe
PLACE = "{folder}"

_HEAD = ("about", "source", "base")
_PARTS = ("defense", "model", "data", "threat")
_EVALUATION = ("evaluated_on", "evaluated_with", "seeds", "select_on_test", "unlike")
SETTINGS = (*_PARTS, *_EVALUATION, *(name for name in FIELDS if name != "seed"))


@attrs.frozen(kw_only=True)
class NamedRecipe:
    """A training at one scale: parts as specs, the options of ``train``, and how the network is evaluated.

    ``evaluated_with`` are the attacks of the evaluation, ``seeds`` the number of runs that the paper averages, and ``unlike`` says
    in words what differs from the print at this scale.
    """

    name: str
    scale: Scale
    about: str
    source: str
    defense: str
    model: str
    data: str
    threat: str
    evaluated_on: str
    evaluated_with: tuple[str, ...]
    seeds: int
    select_on_test: bool
    unlike: tuple[str, ...]
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        name: str,
        scale: str = "small",
        folder: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Self:
        """The recipe of a name, or of a file that ends with .toml; ``folder`` holds the data files that it reads.

        ``changes`` are settings that take the place of the recipe's.
        Raises ``SpecError`` for a name, a scale or a key that is unknown, and where a folder is needed and not given.
        """
        if scale not in SCALES:
            raise SpecError(f"scale={scale!r} is not known; allowed are {' and '.join(SCALES)}")
        content = _content(find_file(name, files_in(FOLDER), "recipe"), ())
        settings = {key: value for key, value in content.items() if key in SETTINGS} | content.get(scale, {})
        settings |= changes or {}
        return cls.from_settings(Path(name).stem if name.endswith(".toml") else name, scale, content, settings, folder)

    @classmethod
    def from_settings(
        cls,
        name: str,
        scale: Any,
        head: Mapping[str, Any],
        settings: Mapping[str, Any],
        folder: str | Path | None = None,
    ) -> Self:
        """The recipe with these settings, checked."""
        where = f"the recipe {name} at scale {scale}"
        check_keys(settings, SETTINGS, where)
        here = {key: _placed(value, folder, where) for key, value in settings.items()}
        return cls(
            name=name,
            scale=scale,
            about=value_of(head, "about", str, where, ""),
            source=value_of(head, "source", str, where, ""),
            **{part: value_of(here, part, str, where) for part in _PARTS},
            evaluated_on=value_of(here, "evaluated_on", str, where),
            evaluated_with=_texts(here, "evaluated_with", where),
            seeds=value_of(here, "seeds", int, where, 3),
            select_on_test=value_of(here, "select_on_test", bool, where, False),
            unlike=_texts(here, "unlike", where),
            options={key: here[key] for key in here if key in FIELDS},
        )

    def settings(self) -> dict[str, Any]:
        """The settings that determine the training, as plain values."""
        return {part: getattr(self, part) for part in (*_PARTS, "evaluated_on", "select_on_test")} | dict(self.options)


def names() -> dict[str, str]:
    """The names of the recipes with what each is about."""
    return {name: _content(path, ()).get("about", "") for name, path in files_in(FOLDER).items()}


def _content(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file, with what it takes over from its base; the file's own settings count."""
    where = str(path.name)
    if path in above:
        raise SpecError(f"{where} takes over from itself, by {', '.join(one.name for one in above)}")
    own = read_toml(path)
    check_keys(own, (*_HEAD, *SETTINGS, *SCALES), where)
    for scale in SCALES:
        check_keys(value_of(own, scale, dict, where, {}), SETTINGS, f"{where} in [{scale}]")
    if "base" not in own:
        return own
    base = value_of(own, "base", str, where)
    known = files_in(FOLDER) | files_in(path.parent)
    taken = _content(find_file(base, known, "recipe"), (*above, path))
    merged = taken | own
    for scale in SCALES:
        common = {key: value for key, value in own.items() if key in SETTINGS}
        merged[scale] = taken.get(scale, {}) | common | own.get(scale, {})
    return merged


def _placed(value: Any, folder: str | Path | None, where: str) -> Any:
    """A value with the folder of data files in its place."""
    if isinstance(value, list):
        return [_placed(one, folder, where) for one in value]
    if not isinstance(value, str) or PLACE not in value:
        return value
    if folder is None:
        raise SpecError(
            f"{where} reads {value.replace(PLACE, 'FOLDER')}, files of your own; give their folder (--data-folder)"
        )
    # it stands within single quotes of a spec
    return value.replace(PLACE, str(folder).replace("\\", "\\\\").replace("'", "\\'"))


def _texts(content: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    found = value_of(content, key, list, where, [])
    if not all(isinstance(one, str) for one in found):
        raise SpecError(f"{where} has {key} = {found!r}; allowed is a list of texts in quotes")
    return tuple(found)
