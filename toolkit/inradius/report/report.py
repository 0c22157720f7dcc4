"""The report: the result of a bracket with its views, as files in a folder and as a page."""

from pathlib import Path
from typing import Any

import attrs

from inradius.bracketing import saved
from inradius.bracketing.result import BracketResult
from inradius.bracketing.summary import summary
from inradius.report import page, storage
from inradius.stored.files import as_folder


@attrs.frozen(kw_only=True)
class Report(BracketResult):
    """Certified accuracy ≤ robust accuracy ≤ accuracy under attack, over a set of examples, with its views.

    examples: one record each; seconds: the time of each method; environment: the machine and the versions; deltas: by row,
    the perturbation of the attempt that counts (*S); inputs: by row, the few images that the page shows (*S); flags:
    sentences on anything that makes these numbers doubtful. Two reports are equal when their settings and their examples
    are equal; time and machine do not matter.
    """

    def summary(self) -> dict[str, Any]:
        """The report without its examples, as plain values that JSON can hold."""
        return summary(self)

    def save(self, folder: str | Path) -> Path:
        """Writes report.json, examples.csv, report.html, the perturbations and the figure; each file whole or not at all.

        The figure needs matplotlib and is left out where that is not installed. Raises ``InputError`` where
        nothing can be written, ``StorageError`` where the disk is full.
        """
        return storage.save(self, as_folder(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "Report":
        """The report that ``save`` wrote. Raises ``InputError`` where the folder holds none."""
        return cls(**saved.load(Path(folder)))

    def to_html(self) -> str:
        """The report as one page that needs no other file."""
        return page.render(self)
