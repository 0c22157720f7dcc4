"""The report: the result of a bracket with its views, as files in a folder and as a page."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor, nn

from inradius.bracketing.result import BracketResult
from inradius.bracketing.saved import REPORT, load, to_json, write_tensors
from inradius.bracketing.summary import summary
from inradius.data.dataset import Examples
from inradius.report import page, tables
from inradius.report.evidence import files as evidence_files
from inradius.report.evidence import record as evidence_record
from inradius.report.exported import ExportedImage, export_images
from inradius.report.robustness import robustness_curve
from inradius.stored.checksum import sealed_json
from inradius.stored.files import as_folder, writable_folder, write_atomic


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
        place = writable_folder(as_folder(folder))
        name = write_tensors(place, {"delta": self.deltas, "input": self.inputs})
        for file, content in _files(self, name).items():
            write_atomic(place / file, content)
        return place

    @classmethod
    def load(cls, folder: str | Path) -> "Report":
        """The report that ``save`` wrote. Raises ``InputError`` where the folder holds none."""
        return cls(**load(Path(folder)))

    def export_images(
        self,
        folder: str | Path,
        model: nn.Module | Callable[[Tensor], Tensor] | None = None,
        data: Examples | None = None,
    ) -> tuple[ExportedImage, ...]:
        """Writes each broken image and its perturbed version as PNG files, with a table of what survives 8 bits.

        A perturbed image survives where, rounded to 8 bits, it is in the set and still breaks ``model``; without one the table says
        only if it is in the set. Without ``data`` these are the few images that the page shows. Raises ``InputError`` for inputs
        that are no images in a box of two numbers, and where no image is broken.
        """
        return export_images(self, folder, model, data)

    def evidence(self, declared: Mapping[str, float] | None = None) -> dict[str, Any]:
        """The evidence of this report: numbers with their claims, conditions, hashes and the command to repeat it, as JSON values.

        ``declared`` has the accuracies that were declared, as in ``{"certified": 0.6}``; the metrics are ``certified``,
        ``attacked`` and ``clean``. All but the entry ``times`` is the same for the same run. Raises ``InputError`` for another
        metric, and for a threshold that is no share.
        """
        return evidence_record.evidence(self, declared)

    def save_evidence(self, folder: str | Path, declared: Mapping[str, float] | None = None) -> Path:
        """Writes evidence.json and evidence.html, a page to print, to a folder, which is returned.

        Raises ``InputError`` where nothing can be written.
        """
        return evidence_files.save(self.evidence(declared), folder)

    def to_html(self) -> str:
        """The report as one page that needs no other file."""
        return page.render(self)


def _files(result: BracketResult, name: str) -> dict[str, bytes]:
    """The content of every other file, report.json last, because it says that a report is there; ``name``: the perturbations."""
    return {
        **_tables(result),
        "report.html": page.render(result).encode(),
        **_figures(result),
        REPORT: sealed_json(to_json(result, name), indent=1),
    }


def _tables(result: BracketResult) -> dict[str, bytes]:
    found = {
        "examples.csv": tables.examples_csv(result.examples),
        "classes.csv": tables.classes_csv(result.examples),
    }
    if result.setting.attacks:
        found["kills.csv"] = tables.kills_csv(result)
    if result.setting.minimal:
        found["robustness.csv"] = robustness_curve(result).to_csv()
    return {name: text.encode() for name, text in found.items()}


def _figures(result: BracketResult) -> dict[str, bytes]:
    if find_spec("matplotlib") is None:
        return {}
    from inradius.report.figures import draw, plot_classes

    figure = plot_classes(result)
    found = {"bracket.png": draw(figure, "png"), "bracket.svg": draw(figure, "svg")}
    if result.setting.minimal:
        found["robustness.svg"] = draw(robustness_curve(result).plot(), "svg")
    return found
