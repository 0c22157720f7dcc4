"""The state of a run as one file."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from inradius.errors import InputError
from inradius.stored.checksum import sealed_archive
from inradius.stored.files import reading, write_atomic
from inradius.stored.reading import check

# what torch says of files that it did not write; those without a checksum may hold anything
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, RuntimeError, zipfile.BadZipFile),
    *(ValueError, TypeError, AttributeError, LookupError, OverflowError),
)


def save_state(state: dict[str, Any], path: Path) -> None:
    """Writes the state of a run: tensors, numbers, strings, lists and dicts."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, sealed_archive(buffer.getvalue()))


def load_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """The state that ``save_state`` wrote, or None where there is no such file; raises ``InputError`` for another file."""
    if not path.exists():
        return None
    # what was kept on the CPU stays there; the numbers of devices are those of another day

    def home(storage: Any, place: str) -> Any:
        return storage if place == "cpu" else storage.to(device=device)

    check(path)
    try:
        with reading(path):
            if not zipfile.is_zipfile(path):
                raise EOFError
            state: dict[str, Any] = torch.load(path, map_location=home, weights_only=True)
    except InputError:
        raise
    except _DAMAGE as error:
        # a full disk is where such a file may come from; what torch says of it is many lines long
        raise InputError(
            f"{str(path)!r} is not the state of a training run ({type(error).__name__}); give another folder, or fresh=True "
            "to start again"
        ) from error
    return state
