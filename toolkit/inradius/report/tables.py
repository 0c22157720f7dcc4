"""The tables of a report as comma-separated values: by example, by class, and which attack broke which example."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from inradius.bracketing.example import Example
from inradius.bracketing.result import BracketResult
from inradius.bracketing.summary import by_class

COLUMNS = [
    *("row", "index", "label", "predicted", "clean_margin", "status"),
    *("attacked_by", "margin", "gauge", "violation", "queries"),
    *("certified_by", "claim", "bound", "error", "precision", "failure_probability"),
]


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as comma-separated values under a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def examples_csv(examples: Sequence[Example]) -> str:
    """A row for each example, as comma-separated values with a header."""
    return csv_text(COLUMNS, (_columns(example) for example in examples))


def _columns(example: Example) -> dict[str, object]:
    attempt, verdict = example.attempt, example.verdict
    return {
        "row": example.row,
        "index": example.index,
        "label": example.label,
        "predicted": example.predicted,
        "clean_margin": example.clean_margin,
        "status": example.status,
        "attacked_by": example.attacked_by,
        "margin": example.margin,
        "gauge": example.gauge,
        "violation": attempt.violation if attempt else None,
        "queries": sum(a.queries for a in example.attempts) if example.attempts else None,
        "certified_by": example.certified_by,
        "claim": example.claim,
        "bound": example.bound,
        "error": verdict.error if verdict else None,
        "precision": verdict.precision if verdict else None,
        "failure_probability": verdict.failure_probability if verdict else None,
    }


def classes_csv(examples: Sequence[Example]) -> str:
    """A row for each class: shares and the ends of their 95 % intervals, as comma-separated values with a header."""
    names = ("clean", "upper", "lower")
    ends = [f"{name}_{end}" for name in names for end in ("low", "high")]
    rows = (
        {
            **{name: group[name] for name in ("label", "examples", *names)},
            **dict(zip(ends, (end for name in names for end in group["intervals"][name]), strict=True)),
        }
        for group in by_class(examples)
    )
    return csv_text(["label", "examples", *names, *ends], rows)


def kills_csv(result: BracketResult) -> str:
    """A row for each example, a column for each attack: 1 if it broke the example, 0 if it failed, empty if it was not run."""
    head = ("row", "index", "label", "status")
    rows = (
        {name: getattr(example, name) for name in head}
        | {attempt.attack: int(attempt.success) for attempt in example.attacks}
        for example in result.examples
    )
    return csv_text([*head, *result.setting.attacks], rows)
