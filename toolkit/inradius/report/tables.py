"""The report as tables: by example, by class, by method, and in sum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from inradius.bracketing.example import Attempt, Example
from inradius.report import kills, levels
from inradius.report.csv_text import csv_text
from inradius.report.intervals import clopper_pearson

if TYPE_CHECKING:
    from inradius.report.report import Report

COLUMNS = [
    *("row", "index", "label", "predicted", "clean_margin", "status"),
    *("attacked_by", "margin", "gauge", "violation", "queries"),
    *("certified_by", "claim", "bound", "error", "precision", "failure_probability"),
]


def flat(example: Example) -> dict[str, object]:
    """One example as a row of the table, by column."""
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


def to_csv(examples: Sequence[Example]) -> str:
    """The examples as comma-separated values with a header."""
    return csv_text(COLUMNS, (flat(example) for example in examples))


def classes_csv(examples: Sequence[Example]) -> str:
    """The classes as comma-separated values with a header: shares and the ends of their 95 % intervals."""
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


def by_class(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """How the examples of each label ended, a row per label."""
    groups: dict[int, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.label, []).append(example)
    return [{"label": label, **_ended(groups[label])} for label in sorted(groups)]


def _ended(examples: Sequence[Example]) -> dict[str, Any]:
    total, status = len(examples), [example.status for example in examples]
    right = total - status.count("wrong")
    kept = {"clean": right, "upper": right - status.count("attacked"), "lower": status.count("certified")}
    return {
        "examples": total,
        **{name: count / total for name, count in kept.items()},
        "intervals": {name: list(clopper_pearson(count, total)) for name, count in kept.items()},
    }


def by_attack(report: "Report") -> dict[str, dict[str, Any]]:
    """What each attack did, by its spec: it succeeds on examples that are classified correctly."""
    return {spec: _attack(report, spec, full) for spec, full in report.setting.attacks.items()}


def _attack(report: "Report", spec: str, full: str) -> dict[str, Any]:
    made = [(e, a) for e in report.examples for a in e.attempts if a.attack == spec]
    return {
        "spec": full,
        "tried": len(made),
        "succeeded": sum(attempt.success for example, attempt in made if example.correct),
        "decided": sum(example.status == "attacked" and example.attacked_by == spec for example, _ in made),
        "queries": sum(attempt.queries for _, attempt in made),
        "seconds": report.seconds.get(spec, 0.0),
        "membership": membership([attempt for _, attempt in made]),
        "rejected": sum(attempt.rejected for _, attempt in made),
        "within_rounding": sum(attempt.within_rounding for _, attempt in made),
        "reused": sum(attempt.reused for _, attempt in made),
    }


def membership(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """How far adversarial examples reach into the set, how many answers lie outside of it, how many the referee rejected.

    An answer from outside is rejected unless the attack looks for the smallest perturbation, and so is a success that the
    referee did not see.
    """
    broke = [attempt for attempt in attempts if attempt.success]
    return {
        "largest_gauge": max((attempt.gauge for attempt in broke), default=None),
        "largest_violation": max((attempt.violation for attempt in broke), default=None),
        "refused": sum(not attempt.inside for attempt in attempts),
        "rejected": sum(attempt.rejected for attempt in attempts),
    }


def by_certifier(report: "Report") -> dict[str, dict[str, Any]]:
    """What each certifier did, by its spec."""
    return {spec: _certifier(report, spec, full) for spec, full in report.setting.certifiers.items()}


def _certifier(report: "Report", spec: str, full: str) -> dict[str, Any]:
    made = [(e, v) for e in report.examples for v in e.verdicts if v.certifier == spec]
    return {
        "spec": full,
        "tried": len(made),
        "certified": sum(verdict.counted for _, verdict in made),
        "claims": levels.claims(verdict.claim for _, verdict in made if verdict.certified),
        "decided": sum(example.status == "certified" and example.certified_by == spec for example, _ in made),
        "failure_probability": max((v.failure_probability for _, v in made), default=0.0),
        "reused": sum(verdict.reused for _, verdict in made),
        "seconds": report.seconds.get(spec, 0.0),
    }


def audit(report: "Report") -> dict[str, Any]:
    """How many decided examples were handed to every method of the other side as well, and what came of it."""
    attacks, certifiers = len(report.setting.attacks), len(report.setting.certifiers)
    certified = [e for e in report.examples if e.certified and e.status in ("certified", "within_rounding")]
    broken = [e for e in report.examples if e.status in ("wrong", "attacked")]
    return {
        "share": report.setting.audit,
        "exhaustive": report.setting.exhaustive,
        "certified_and_attacked": sum(len(e.attempts) == attacks > 0 for e in certified),
        "broken_and_certified": sum(len(e.verdicts) == certifiers > 0 for e in broken),
        "smallest_slack": min((s for e in certified if (s := slack(e)) is not None), default=None),
        "within_rounding": report.counts["within_rounding"],
        "conflicts": report.conflicts,
    }


def slack(example: Example) -> float | None:
    """How far the smallest margin that an attack reached stays above the largest guaranteed bound; None where unknown."""
    proofs = [verdict.guaranteed for verdict in example.verdicts if verdict.proof]
    reached = [attempt.margin for attempt in example.attempts if attempt.inside]
    return min(reached) - max(proofs) if proofs and reached else None


def summary(report: "Report") -> dict[str, Any]:
    """The report without its examples, as plain values."""
    attempts = [attempt for example in report.examples for attempt in example.attempts]
    return {
        "examples": len(report.examples),
        "clean": report.clean,
        "upper": report.upper,
        "lower": report.lower,
        "gap": report.upper - report.lower,
        "counts": dict(report.counts),
        "intervals": {name: list(interval) for name, interval in report.intervals.items()},
        "claim": report.setting.claim,
        "claims": report.claims,
        "uncounted": report.uncounted,
        "attacks": by_attack(report),
        "certifiers": by_certifier(report),
        "membership": membership(attempts),
        "audit": audit(report),
        "flags": list(report.flags),
        "kills": kills.summary(report),
        "classes": by_class(report.examples),
        "setting": attrs.asdict(report.setting),
        "seconds": dict(report.seconds),
        "environment": dict(report.environment),
    }
