"""The kill table: which attack broke which example."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inradius.bracketing.example import Example
from inradius.report.csv_text import csv_text
from inradius.report.intervals import clopper_pearson

if TYPE_CHECKING:
    from inradius.report.report import Report


def killers(example: Example) -> tuple[str, ...]:
    """The attacks that broke an example; none where it was misclassified to begin with."""
    return tuple(attempt.attack for attempt in example.attempts if attempt.success) if example.correct else ()


def summary(report: "Report") -> dict[str, Any]:
    """For each attack, in the order given, what it broke and what that leaves, as plain values.

    complete: whether every attack was run on every example that is classified correctly, as in an exhaustive run; only then
    does ``alone`` say what an attack leaves by itself, and ``unique`` how many examples it alone broke. ``together`` is what
    it leaves with those before it. ``pairs`` counts the examples that both of two attacks broke.
    """
    specs = list(report.setting.attacks)
    right = [example for example in report.examples if example.correct]
    complete = all(len(example.attempts) == len(specs) for example in right)
    broken = {spec: {e.row for e in right if spec in killers(e)} for spec in specs}
    return {
        "complete": complete,
        "attacks": {spec: _one(report, spec, specs, broken, len(right), complete) for spec in specs},
        "pairs": [[len(broken[one] & broken[other]) for other in specs] for one in specs],
    }


def _one(
    report: "Report", spec: str, specs: Sequence[str], broken: dict[str, set[int]], right: int, complete: bool
) -> dict[str, Any]:
    so_far = set[int]().union(*(broken[other] for other in specs[: specs.index(spec) + 1]))
    others = set[int]().union(*(broken[other] for other in specs if other != spec))
    return {
        "broke": len(broken[spec]),
        "unique": len(broken[spec] - others) if complete else None,
        "alone": _left(report, right - len(broken[spec])) if complete else None,
        "together": _left(report, right - len(so_far)),
    }


def _left(report: "Report", count: int) -> dict[str, Any]:
    """A number of examples as a share of all, with its 95 % interval."""
    total = len(report.examples)
    return {"accuracy": count / total, "interval": list(clopper_pearson(count, total))}


def to_csv(report: "Report") -> str:
    """A row for each example, a column for each attack: 1 where it broke it, 0 where it tried, nothing where it did not."""
    specs = list(report.setting.attacks)
    return csv_text(["row", "index", "label", "status", *specs], (_row(example) for example in report.examples))


def _row(example: Example) -> dict[str, object]:
    tried = {attempt.attack: int(attempt.success) for attempt in example.attempts}
    plain: dict[str, object] = {
        "row": example.row,
        "index": example.index,
        "label": example.label,
        "status": example.status,
    }
    return {**plain, **tried}
