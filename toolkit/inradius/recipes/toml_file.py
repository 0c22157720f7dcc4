"""Files in TOML: read, with one sentence for what is wrong in them."""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from inradius.errors import InputError, SpecError

SUFFIX = ".toml"
Content = Mapping[str, Any]


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file. Raises ``InputError`` where it is missing or no TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror or error}); give a file in TOML") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} is not TOML ({error}); allowed are lines such as epochs = 30") from error


def check_keys(content: Content, allowed: Collection[str], where: str) -> None:
    """Raises ``SpecError`` for a key that is none of those allowed."""
    for key in content:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise SpecError(f"{where} has the key {key!r}{meant}; allowed are {', '.join(sorted(allowed))}")


def value_of(content: Content, key: str, kind: type, where: str, default: Any = None) -> Any:
    """The value of a key. Raises ``SpecError`` where it is of another kind, or missing and there is no default."""
    if key not in content:
        if default is None:
            raise SpecError(f"{where} has no {key}; allowed is {_WORDS[kind]} under that name")
        return default
    value = content[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SpecError(f"{where} has {key} = {value!r}; allowed is {_WORDS[kind]}")
    return value


def files_in(folder: Path) -> dict[str, Path]:
    """The TOML files of a folder by their names, in the order of the alphabet."""
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stem)}


def find_file(name: str, known: Mapping[str, Path], what: str) -> Path:
    """The file of a name, or the one at a path that ends with .toml. Raises ``SpecError`` with the nearest names."""
    if name in known:
        return known[name]
    if name.endswith(SUFFIX):
        return Path(name).expanduser()
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    told = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
    raise SpecError(f"{name!r} is not a known {what}; {told}")


_WORDS: Mapping[type, str] = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table of keys and values",
    bool: "true or false",
}
