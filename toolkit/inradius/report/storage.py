"""The files of a report in a folder, written so that a killed write is never mistaken for a report."""

from importlib.util import find_spec
from pathlib import Path

from inradius.bracketing.result import BracketResult
from inradius.bracketing.saved import REPORT, to_json, write_tensors
from inradius.report import page, tables
from inradius.report.robustness import robustness_curve
from inradius.stored.checksum import sealed_json
from inradius.stored.files import writable_folder, write_atomic


def save(result: BracketResult, folder: Path) -> Path:
    """Writes the files of a report and returns the folder; report.json is the last, because it says that a report is there."""
    writable_folder(folder)
    name = write_tensors(folder, {"delta": result.deltas, "input": result.inputs})
    for file, content in _files(result, name).items():
        write_atomic(folder / file, content)
    return folder


def _files(result: BracketResult, name: str) -> dict[str, bytes]:
    """The content of every other file; ``name`` is the file of the perturbations."""
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
