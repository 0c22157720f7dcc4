"""The numbers of evidence, each with what it claims."""

import hashlib
from collections.abc import Sequence
from typing import Any, get_args

import torch

from inradius.bracketing.example import Example, Verdict, strength
from inradius.bracketing.result import BracketResult, count_claims
from inradius.bracketing.summary import by_attack, by_certifier, by_class
from inradius.certifiers.certificate import MEANING, Claim, weakest

LEVEL = 0.95
MEASURED = "measured"
MEANINGS = {
    **{level: f"a proof about {MEANING[level]}" for level in get_args(Claim)},
    "probabilistic": "a statement that may be wrong with the stated probability",
    "solver": "the answer of a solver that computes in floating point, which is no proof",
    MEASURED: "found by running the model on these examples; of an attack every success was judged again by other code",
}
_EXACT, _VOTES = "Clopper-Pearson", "Clopper-Pearson with votes"
# how an accuracy bounds the robust accuracy of these examples
_SIDES = {"lower": "below", "upper": "above", "clean": "above"}


def accuracies(result: BracketResult) -> dict[str, Any]:
    """Certified accuracy, accuracy under attack, clean accuracy, and the number of examples with each status."""
    total, counts = len(result.examples), result.counts
    right = total - counts["wrong"]
    found = {"lower": counts["certified"], "upper": right - counts["attacked"], "clean": right}
    made = {
        name: _share(count, total, result.intervals[name], _method(result, name), _SIDES[name])
        for name, count in found.items()
    }
    made["lower"] |= _levels(result.examples, result.setting.claim)
    return {**made, "robust": _robust(made), "counts": {"claim": MEASURED, **counts, "uncounted": result.uncounted}}


def _robust(made: dict[str, Any]) -> dict[str, Any]:
    """The bracket: for these examples, and as an interval for their population, each of whose ends fails with 2.5 % at most."""
    low, high = made["lower"], made["upper"]
    return {
        "at_least": low["value"],
        "at_most": high["value"],
        "interval": [low["interval"][0], high["interval"][1]],
        "level": LEVEL,
        "claims": {"at_least": low["claim"], "at_most": high["claim"]},
    }


def _method(result: BracketResult, name: str) -> str:
    return _VOTES if result.setting.votes > 1 and name != "lower" else _EXACT


def _share(count: int, total: int, interval: Sequence[float], method: str, side: str) -> dict[str, Any]:
    return {
        "value": count / total,
        "count": count,
        "total": total,
        "interval": list(interval),
        "level": LEVEL,
        "method": method,
        "bounds": side,
        "claim": MEASURED,
    }


def _levels(examples: Sequence[Example], asked: str) -> dict[str, Any]:
    """The claim of a certified accuracy, which is the weakest of its certificates, and their number at each level.

    failure_probability: the chance that any of the certificates is wrong, at most; 0 where all are proofs.
    """
    counted = [verdict for example in examples if (verdict := _counted(example)) is not None]
    levels = [verdict.claim for verdict in counted]
    return {
        "claim": weakest(levels) if levels else asked,
        "levels": count_claims(levels),
        "failure_probability": min(1.0, sum(verdict.failure_probability for verdict in counted)),
    }


def _counted(example: Example) -> Verdict | None:
    """The strongest certificate that counts of a certified example; None for the others."""
    if example.status != "certified":
        return None
    found = (verdict for verdict in example.verdicts if verdict.counted)
    return min(found, key=lambda verdict: (strength(verdict.claim), verdict.failure_probability))


def classes(result: BracketResult) -> list[dict[str, Any]]:
    """The three accuracies of each class; none where labels are not classes."""
    return [_class(result, group) for group in by_class(result.examples)]


def _class(result: BracketResult, group: dict[str, Any]) -> dict[str, Any]:
    total, members = group["examples"], [each for each in result.examples if each.label == group["label"]]
    made: dict[str, Any] = {
        name: _share(round(group[name] * total), total, group["intervals"][name], _EXACT, side)
        for name, side in _SIDES.items()
    }
    made["lower"] |= _levels(members, result.setting.claim)
    return {"label": group["label"], "examples": total, **made}


def attacks(result: BracketResult) -> list[dict[str, Any]]:
    """The numbers of each attack, without its time."""
    return [{"claim": MEASURED, **_timeless(entry)} for entry in by_attack(result).values()]


def certifiers(result: BracketResult) -> list[dict[str, Any]]:
    """The numbers of each certifier, without its time; claims: the number of its certificates at each level."""
    return [_timeless(entry) for entry in by_certifier(result).values()]


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "seconds"}


def example(result: BracketResult, each: Example) -> dict[str, Any]:
    """One example: what was measured of it, and its certificate with the level of what that claims."""
    verdict = _counted(each) or each.verdict
    return {
        "row": each.row,
        "index": each.index,
        "label": each.label,
        "status": each.status,
        "measured": {
            "predicted": each.predicted,
            "clean_margin": each.clean_margin,
            "attacked_by": each.attacked_by,
            "margin": each.margin,
            "gauge": each.gauge,
            "perturbation": _hash(result, each),
        },
        "certificate": None if verdict is None else _certificate(verdict),
    }


def _certificate(verdict: Verdict) -> dict[str, Any]:
    return {
        "by": verdict.certifier,
        "certified": verdict.certified,
        "counted": verdict.counted,
        "claim": verdict.claim,
        "bound": verdict.bound,
        "error": verdict.error,
        "failure_probability": verdict.failure_probability,
    }


def _hash(result: BracketResult, each: Example) -> str | None:
    """The SHA-256 of the numbers of the perturbation that broke an example, as they are stored; None for the others."""
    if each.status != "attacked" or each.row not in result.deltas:
        return None
    delta = result.deltas[each.row].detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(delta.view(torch.uint8).numpy().tobytes()).hexdigest()
