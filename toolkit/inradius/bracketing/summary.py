"""The numbers of a result as plain values: by class, by attack, by certifier, and in sum."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from inradius.bracketing.clopper_pearson import clopper_pearson
from inradius.bracketing.example import Attempt, Example
from inradius.bracketing.result import BracketResult, count_claims


def by_class(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """A row per label that is a class: the number of examples, and clean, attacked and certified accuracy, with 95 % intervals."""
    groups: dict[int, list[Example]] = {}
    for example in examples:
        if example.label is None:
            continue
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


def shares_of_class(group: Mapping[str, Any]) -> dict[str, float]:
    """The shares of a row of ``by_class`` that add up to 1, by status; within rounding counts as undecided."""
    return {
        "certified": group["lower"],
        "undecided": group["upper"] - group["lower"],
        "attacked": group["clean"] - group["upper"],
        "wrong": 1 - group["clean"],
    }


def by_attack(result: BracketResult) -> dict[str, dict[str, Any]]:
    """The numbers of each attack, by its spec; a success counts where the example is classified correctly."""
    return {spec: _attack(result, spec, full) for spec, full in result.setting.attacks.items()}


def _attack(result: BracketResult, spec: str, full: str) -> dict[str, Any]:
    made = [(e, a) for e in result.examples for a in e.attempts if a.attack == spec]
    return {
        "spec": full,
        "tried": len(made),
        "succeeded": sum(attempt.success for example, attempt in made if example.correct),
        "decided": sum(example.status == "attacked" and example.attacked_by == spec for example, _ in made),
        "queries": sum(attempt.queries for _, attempt in made),
        "seconds": result.seconds.get(spec, 0.0),
        "membership": membership([attempt for _, attempt in made]),
        "rejected": sum(attempt.rejected for _, attempt in made),
        "within_rounding": sum(attempt.within_rounding for _, attempt in made),
        "reused": sum(attempt.reused for _, attempt in made),
    }


def membership(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """The largest gauge and violation of successful attempts, the answers outside of the set, and the rejected ones.

    The referee rejects a success that it does not confirm. It also rejects an answer outside of the set, unless the attack
    looks for the smallest perturbation.
    """
    broke = [attempt for attempt in attempts if attempt.success]
    return {
        "largest_gauge": max((attempt.gauge for attempt in broke), default=None),
        "largest_violation": max((attempt.violation for attempt in broke), default=None),
        "refused": sum(not attempt.inside for attempt in attempts),
        "rejected": sum(attempt.rejected for attempt in attempts),
    }


def killers(example: Example) -> tuple[str, ...]:
    """The attacks, and certifiers by a witness, that broke an example; none for one that is misclassified without perturbation."""
    return tuple(attempt.attack for attempt in example.attempts if attempt.success) if example.correct else ()


def kills(result: BracketResult) -> dict[str, Any]:
    """For each attack, in the order given, how many examples it broke and the accuracy that it leaves, as plain values.

    complete: every attack was run on every example that is classified correctly, as in an exhaustive run. Only then are
    ``alone``, the accuracy that an attack leaves by itself, and ``unique``, the number of examples that it alone broke, known.
    ``together`` is the accuracy under an attack and those before it. ``pairs`` counts the examples that both of two attacks
    broke.
    """
    specs = list(result.setting.attacks)
    right = [example for example in result.examples if example.correct]
    complete = all(len(example.attacks) == len(specs) for example in right)
    broken = {spec: {e.row for e in right if spec in killers(e)} for spec in specs}
    return {
        "complete": complete,
        "attacks": {spec: _kills_of(result, spec, specs, broken, len(right), complete) for spec in specs},
        "pairs": [[len(broken[one] & broken[other]) for other in specs] for one in specs],
    }


def _kills_of(
    result: BracketResult, spec: str, specs: Sequence[str], broken: dict[str, set[int]], right: int, complete: bool
) -> dict[str, Any]:
    so_far = set[int]().union(*(broken[other] for other in specs[: specs.index(spec) + 1]))
    others = set[int]().union(*(broken[other] for other in specs if other != spec))
    return {
        "broke": len(broken[spec]),
        "unique": len(broken[spec] - others) if complete else None,
        "alone": _accuracy(result, right - len(broken[spec])) if complete else None,
        "together": _accuracy(result, right - len(so_far)),
    }


def _accuracy(result: BracketResult, count: int) -> dict[str, Any]:
    """A number of examples as a share of all, with its 95 % interval."""
    total = len(result.examples)
    return {"accuracy": count / total, "interval": list(clopper_pearson(count, total))}


def by_certifier(result: BracketResult) -> dict[str, dict[str, Any]]:
    """The numbers of each certifier, by its spec; refuted: the examples that its witness broke."""
    return {spec: _certifier(result, spec, full) for spec, full in result.setting.certifiers.items()}


def _certifier(result: BracketResult, spec: str, full: str) -> dict[str, Any]:
    made = [(e, v) for e in result.examples for v in e.verdicts if v.certifier == spec]
    return {
        "spec": full,
        "tried": len(made),
        "certified": sum(verdict.counted for _, verdict in made),
        "claims": count_claims(verdict.claim for _, verdict in made if verdict.certified),
        "decided": sum(example.status == "certified" and example.certified_by == spec for example, _ in made),
        "refuted": sum(spec in killers(example) for example in result.examples),
        "failure_probability": max((v.failure_probability for _, v in made), default=0.0),
        "reused": sum(verdict.reused for _, verdict in made),
        "seconds": result.seconds.get(spec, 0.0),
    }


def audit(result: BracketResult) -> dict[str, Any]:
    """The numbers of the audit: decided examples that every method of the other side was run on as well."""
    attacks, certifiers = len(result.setting.attacks), len(result.setting.certifiers)
    certified = [e for e in result.examples if e.certified and e.status in ("certified", "within_rounding")]
    broken = [e for e in result.examples if e.status in ("wrong", "attacked")]
    return {
        "share": result.setting.audit,
        "exhaustive": result.setting.exhaustive,
        "certified_and_attacked": sum(len(e.attacks) == attacks > 0 for e in certified),
        "broken_and_certified": sum(len(e.verdicts) == certifiers > 0 for e in broken),
        "smallest_slack": min((s for e in certified if (s := slack(e)) is not None), default=None),
        "within_rounding": result.counts["within_rounding"],
        "conflicts": result.conflicts,
    }


def slack(example: Example) -> float | None:
    """The smallest margin that an attack reached minus the largest guaranteed bound; None where one of them is missing."""
    proofs = [verdict.guaranteed for verdict in example.verdicts if verdict.proof]
    reached = [attempt.margin for attempt in example.attempts if attempt.inside]
    return min(reached) - max(proofs) if proofs and reached else None


def summary(result: BracketResult) -> dict[str, Any]:
    """The result without its examples, as plain values."""
    attempts = [attempt for example in result.examples for attempt in example.attempts]
    return {
        "examples": len(result.examples),
        "clean": result.clean,
        "upper": result.upper,
        "lower": result.lower,
        "gap": result.upper - result.lower,
        "counts": dict(result.counts),
        "intervals": {name: list(interval) for name, interval in result.intervals.items()},
        "claim": result.setting.claim,
        "claims": result.claims,
        "uncounted": result.uncounted,
        "attacks": by_attack(result),
        "certifiers": by_certifier(result),
        "membership": membership(attempts),
        "audit": audit(result),
        "flags": list(result.flags),
        "kills": kills(result),
        "classes": by_class(result.examples),
        "setting": attrs.asdict(result.setting),
        "command": result.command,
        "seconds": dict(result.seconds),
        "environment": dict(result.environment),
    }
