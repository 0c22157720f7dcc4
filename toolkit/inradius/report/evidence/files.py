"""Evidence in a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inradius.report.evidence.page import render
from inradius.stored.checksum import sealed_json
from inradius.stored.files import as_folder, writable_folder, write_atomic
from inradius.stored.listing import note

JSON, PAGE = "evidence.json", "evidence.html"


def save(record: Mapping[str, Any], folder: str | Path) -> Path:
    """Writes the evidence as JSON and as a page, each file whole or not at all, and returns the folder."""
    place = writable_folder(as_folder(folder))
    # the folder of a run, started again, deletes its own files alone
    note(place, JSON, PAGE)
    write_atomic(place / PAGE, render(record).encode())
    write_atomic(place / JSON, sealed_json(record, indent=1))
    return place
