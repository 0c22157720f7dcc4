"""Work that is done once, kept in files, and shared by processes: what a file holds already is not looked for again."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import sleep

from inradius.stored.checksum import sealed_json
from inradius.stored.files import writable_folder, write_atomic
from inradius.stored.lock import claimed
from inradius.stored.reading import Record, record

# seconds between two looks at work that another process does
_PAUSE = 0.2


def keep(place: Path, find: Callable[[], Record], *, fresh: bool = False) -> None:
    """Writes what ``find`` returns to a file, unless it holds a record already that is not to be found ``fresh``."""
    if fresh or not place.exists():
        write_atomic(place, sealed_json(find(), indent=1))


def shared(work: Mapping[Path, Callable[[], Record]]) -> Iterator[tuple[Path, Record]]:
    """The record in each file, in the order in which they are there, found where missing; each file in a folder of its own.

    Any number of processes may ask for the same work at the same time: each piece is one process's, which holds its folder, and
    the others go on to the next piece. A process that is killed leaves its piece to the others.
    """
    left = dict(work)
    while left:
        before = len(left)
        for place in list(left):
            if not place.exists():
                with claimed(writable_folder(place.parent)) as held:
                    if not held:
                        continue
                    keep(place, left[place])
            del left[place]
            yield place, record(place, ours=True)
        if len(left) == before:
            sleep(_PAUSE)
