"""A report in a folder: written so that a killed write is never mistaken for a report, and read back."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from safetensors import SafetensorError

from inradius.bracketing.example import Attempt, Example, Verdict
from inradius.bracketing.setting import Setting
from inradius.errors import InputError
from inradius.report import kills, page, tables, tensors
from inradius.report.robustness import robustness_curve
from inradius.stored.checksum import sealed_json
from inradius.stored.files import writable_folder, write_atomic
from inradius.stored.reading import check
from inradius.stored.reading import record as read_record

if TYPE_CHECKING:
    from inradius.report.report import Report

REPORT = "report.json"
FORMAT = 1
# what is written beside the perturbations
FILES = (
    *("examples.csv", "classes.csv", "kills.csv", "robustness.csv", "report.html", "bracket.png", "bracket.svg"),
    *("robustness.svg", REPORT),
)


def save(report: "Report", folder: Path) -> Path:
    """Writes the report's files; report.json last, because it is what says that a report is here."""
    writable_folder(folder)
    name = tensors.write(folder, {"delta": report.deltas, "input": report.inputs})
    for file, content in _files(report, name).items():
        write_atomic(folder / file, content)
    return folder


def _files(report: "Report", name: str) -> dict[str, bytes]:
    """The content of every other file; ``name`` is the one of the perturbations."""
    return {
        "examples.csv": tables.to_csv(report.examples).encode(),
        **_csv_of_methods(report),
        "report.html": page.render(report).encode(),
        **_figures(report),
        REPORT: sealed_json(to_json(report, name), indent=1),
    }


def _csv_of_methods(report: "Report") -> dict[str, bytes]:
    found = {"classes.csv": tables.classes_csv(report.examples)}
    if report.setting.attacks:
        found["kills.csv"] = kills.to_csv(report)
    if report.setting.minimal:
        found["robustness.csv"] = robustness_curve(report).to_csv()
    return {name: text.encode() for name, text in found.items()}


def _figures(report: "Report") -> dict[str, bytes]:
    if find_spec("matplotlib") is None:
        return {}
    from inradius.report.figures import draw, plot_report

    figure = plot_report(report)
    found = {"bracket.png": draw(figure, "png"), "bracket.svg": draw(figure, "svg")}
    if report.setting.minimal:
        found["robustness.svg"] = draw(robustness_curve(report).plot(), "svg")
    return found


def to_json(report: "Report", deltas: str) -> dict[str, Any]:
    """The report as JSON values; numbers that are not finite are written as strings."""
    examples = [attrs.asdict(example) | {"status": example.status} for example in report.examples]
    record: dict[str, Any] = _spell({"format": FORMAT, "deltas": deltas, **report.summary(), "table": examples})
    return record


def _spell(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _spell(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def load(folder: Path) -> dict[str, Any]:
    """The fields of the report in a folder. Raises ``InputError`` where there is none, or a file is damaged."""
    if not (folder / REPORT).is_file():
        raise InputError(
            f"{str(folder)!r} holds no readable {REPORT} (there is none); give a folder that a report was saved to"
        )
    record = read_record(folder / REPORT)
    try:
        if record["format"] != FORMAT:
            raise InputError(f"the report in {str(folder)!r} has format {record['format']}; readable is {FORMAT}")
        check(folder / record["deltas"])
        return _fields(record, folder)
    except InputError:
        raise
    # of files without a checksum anything may be wrong
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(
            f"{str(folder)!r} holds no readable {REPORT} ({error!r}); give a folder that a report was saved to"
        ) from error


def _fields(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    rows = {group: tensors.read(folder / record["deltas"], group) for group in ("delta", "input")}
    return {
        "setting": Setting.of(record["setting"]),
        "examples": tuple(_example(entry) for entry in record["table"]),
        "seconds": record["seconds"],
        "environment": record["environment"],
        "flags": tuple(record.get("flags", ())),
        "deltas": rows["delta"],
        "inputs": rows["input"],
        "folder": folder,
    }


def _example(entry: dict[str, Any]) -> Example:
    plain = {name: entry[name] for name in ("row", "index", "label", "predicted")}
    return Example(
        **plain,
        clean_margin=float(entry["clean_margin"]),
        attempts=tuple(
            Attempt(**_known(Attempt, _numbers(a, "margin", "gauge", "violation"))) for a in entry["attempts"]
        ),
        verdicts=tuple(Verdict(**_known(Verdict, _numbers(v, "bound", "error"))) for v in entry["verdicts"]),
    )


def _known(kind: type[attrs.AttrsInstance], record: dict[str, Any]) -> dict[str, Any]:
    """The entries that this version knows; those that it alone knows have defaults."""
    return {name: value for name, value in record.items() if name in attrs.fields_dict(kind)}


def _numbers(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return record | {name: float(record[name]) for name in names}
