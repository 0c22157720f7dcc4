"""The list of a run's files: starting the run again deletes only these files."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from inradius.errors import InputError
from inradius.stored.checksum import intact, sealed_json
from inradius.stored.files import damaged, reading, write_atomic, writing

LIST, LOCK = "run-files.json", ".lock"
# the record is deleted last, because a state without a record would be taken for that of the next run
RECORD = "run.json"

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp")


def begin(folder: Path, *names: str) -> None:
    """Starts the list of a new run with files that it will write; an existing list is continued."""
    if not (folder / LIST).exists():
        _write(folder, [])
    note(folder, *names)


def note(folder: Path, *names: str) -> None:
    """Adds files to the list of the run in a folder before they are written; without a list it does nothing.

    Listing the list of a run in a folder below makes that run a part of this one. Raises ``InputError`` for a file
    outside.
    """
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]:
        raise InputError(
            f"{outside[0]!r} is not a file below the run's folder; allowed is a path from there, without '..'"
        )
    if (folder / LIST).exists():
        listed = _names(folder)
        if new := [name for name in names if name not in listed]:
            _write(folder, [*listed, *new])


def is_listed(path: Path) -> bool:
    """True where the run of a file lists it as its own."""
    home = next((folder for folder in path.absolute().parents if (folder / LIST).exists()), None)
    return home is not None and _name(home, path) in _names(home)


def check_own(folder: Path) -> None:
    """Raises ``InputError`` where a folder holds a file that is not in its list."""
    for place in (folder, *_parts(folder)):
        if foreign := next(_foreign(place), None):
            raise InputError(
                f"folder={str(place)!r} holds {foreign!r}, which is not in its list of a run's files, and fresh=True deletes "
                "the files of a run alone; move it away, or give another folder"
            )


def clear(folder: Path) -> None:
    """Deletes the files that the folder's list names, and the list. Raises ``InputError`` where there are other files."""
    check_own(folder)
    for place in (*_parts(folder), folder):
        names = _names(place)
        with writing(place):
            for name in sorted(names, key=RECORD.__eq__):
                for path in (place / name, *_temporaries(place / name)):
                    path.unlink(missing_ok=True)
            (place / LIST).unlink(missing_ok=True)
            _remove_empty(place, names)


def _parts(folder: Path) -> list[Path]:
    """The folders of the runs that are parts of this one, the innermost first."""
    below = [(folder / name).parent for name in _names(folder) if Path(name).name == LIST]
    return [part for place in below for part in (*_parts(place), place)]


def _foreign(folder: Path) -> Iterator[str]:
    """The files below a folder that belong neither to its run nor to a run in a folder below."""
    listed = {*_names(folder), LIST, LOCK}
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not Path(place, name, LIST).exists())
        links = [name for name in folders if Path(place, name).is_symlink()]
        for path in (Path(place, name) for name in sorted([*files, *links])):
            made = _TEMPORARY.fullmatch(path.name)
            if _name(folder, path.with_name(made["name"]) if made else path) not in listed:
                yield _name(folder, path)


def _temporaries(path: Path) -> Iterator[Path]:
    """The temporary files that killed writers left."""
    found = path.parent.glob(f".{path.name}.*.tmp")
    return (part for part in found if (made := _TEMPORARY.fullmatch(part.name)) and made["name"] == path.name)


def _remove_empty(folder: Path, names: list[str]) -> None:
    """Removes the folders of these files where they are empty."""
    below = {folder / parent for name in names for parent in Path(name).parents} - {folder}
    for place in sorted(below, key=lambda one: -len(one.parts)):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _name(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _names(folder: Path) -> list[str]:
    """The names in a folder's list; none where it has no list."""
    path = folder / LIST
    if not path.exists():
        return []
    with reading(path):
        content = path.read_bytes()
    if not intact(content):
        raise damaged(path, "it does not have the checksum that it was written with")
    names: list[str] = json.loads(content)["files"]
    return names


def _write(folder: Path, names: list[str]) -> None:
    write_atomic(folder / LIST, sealed_json({"files": names}, indent=1))
