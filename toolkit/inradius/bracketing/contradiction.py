"""Contradictions: an attack reaches a margin below the proved one. They are confirmed, saved, and stop the run."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import attrs
import torch
from torch import Tensor

from inradius.bracketing.example import Example, Verdict
from inradius.bracketing.ledger import Ledger
from inradius.bracketing.plan import Plan
from inradius.bracketing.store import CONTRADICTION, Store
from inradius.errors import ContradictionError
from inradius.models.modes import covered_kernels
from inradius.sets.oracles import Oracles
from inradius.stored.checksum import sealed_json
from inradius.stored.files import write_atomic
from inradius.stored.tensor_file import tensor_file

# the error of the float64 forward pass, as a share of the largest logit: far above its rounding error (a network
# of a million operations in a row stays below 1e-10), far below any margin that means something
_ALLOWANCE = 1e-9
# how far a projected perturbation is drawn towards 0 until it is a member with no tolerance at all
_PULLS = (1e-12, 1e-9, 1e-6)
# and where x + δ is rounded to a shorter type
_LONGER_PULLS = (0.0, 1e-6, 1e-4, 1e-2)


@attrs.frozen(eq=False)
class Conflict:
    """A proof and a perturbation (*S) of one example whose margin is below the proved one, before any confirmation."""

    example: Example
    certifier: int
    verdict: Verdict
    attack: str
    delta: Tensor


@attrs.frozen(eq=False)
class Contradiction:
    """A conflict that a run of the model confirms: δ is a member with no tolerance and its margin is below the proved one.

    run: "in float64", which stands for the exact function, or "in a run of the model in its own type", which a proof at level
    "float" covers as well.
    """

    conflict: Conflict
    delta: Tensor
    margin: float
    allowance: float
    run: str


def check(plan: Plan, store: Store, ledger: Ledger, rows: Sequence[int]) -> None:
    """Raises ``ContradictionError``, saved in the run folder, where a proof among ``rows`` is refuted."""
    for row in rows:
        for conflict in _conflicts(plan, store, ledger, row):
            confirmed = _confirm(plan, conflict)
            if confirmed is not None:
                _stop(plan, store, confirmed)


def _conflicts(plan: Plan, store: Store, ledger: Ledger, row: int) -> Iterator[Conflict]:
    example = ledger.example(row, int(plan.data.index[row]), plan.label(row))
    for verdict in _strongest(example):
        certifier = ledger.certifiers.index(verdict.certifier)
        if example.clean_margin < verdict.guaranteed:
            yield Conflict(example, certifier, verdict, "no perturbation", torch.zeros_like(plan.read([row]).inputs[0]))
        for stage, made in ledger.attempts.items():
            if row in made and made[row].inside and made[row].margin < verdict.guaranteed:
                yield Conflict(example, certifier, verdict, made[row].attack, store.delta(*ledger.places[stage, row]))


def _strongest(example: Example) -> Iterator[Verdict]:
    """The proof with the highest bound, and where that is another one the highest one at level "float"."""
    proofs = [verdict for verdict in example.verdicts if verdict.proof]
    executed = [verdict for verdict in proofs if verdict.claim == "float"]
    best, other = (max(some, key=lambda proof: proof.guaranteed, default=None) for some in (proofs, executed))
    if best is not None:
        yield best
    if other is not None and other is not best:
        yield other


def _confirm(plan: Plan, conflict: Conflict) -> Contradiction | None:
    """The contradiction, if there is one; None where rounding explains the conflict."""
    found = plan.read([conflict.example.row])
    x, label = found.inputs.to("cpu", torch.float64), found.labels.cpu()
    delta = _member(plan.threat.at(found.index, x), conflict.delta[None].to("cpu", torch.float64), x)
    if delta is None:
        return None
    exact = plan.certifiers[conflict.certifier].subject(copy.deepcopy(plan.model).to("cpu", torch.float64))
    with torch.no_grad():
        outputs = exact(x + delta)
    confirmed = _compared(plan, conflict, delta, outputs, label, _ALLOWANCE, "in float64")
    return _executed(plan, conflict) if confirmed is None and conflict.verdict.claim == "float" else confirmed


def _executed(plan: Plan, conflict: Conflict) -> Contradiction | None:
    """The contradiction between a proof about float executions and one of them, at a point that the type can hold."""
    batch = plan.batch([conflict.example.row])
    x = batch.inputs.cpu().double()
    threat = plan.threat.at(batch.index, x)
    for pull in _LONGER_PULLS:
        point = (x + conflict.delta.cpu().double() * (1 - pull)).to(batch.inputs)
        delta = point.cpu().double() - x
        if bool(threat.contains(delta, x, tol=0.0)):
            with torch.no_grad(), covered_kernels():
                outputs = plan.subject(point).cpu().double()
            # the margin of the outputs is all that is rounded here
            unit = torch.finfo(outputs.dtype).eps
            return _compared(
                plan, conflict, delta, outputs, batch.labels.cpu(), unit, "in a run of the model in its own type"
            )
    return None


def _compared(
    plan: Plan, conflict: Conflict, delta: Tensor, outputs: Tensor, label: Tensor, allowed: float, run: str
) -> Contradiction | None:
    """The contradiction where the margin is below the proved one by more than a share ``allowed`` of the largest output."""
    outcome = plan.options.outcome
    margin = float(outcome.judged(outputs, label))
    allowance = allowed * max(1.0, float(outcome.size(outputs, label)))
    confirmed = margin < conflict.verdict.guaranteed - allowance
    return Contradiction(conflict, delta, margin, allowance, run) if confirmed else None


def _member(threat: Oracles, delta: Tensor, x: Tensor) -> Tensor | None:
    """The nearest point of Δ(x) that is a member with tolerance 0, (1, *S); None where none is found."""
    nearest = threat.project(delta, x)
    for pull in _PULLS:
        drawn = nearest * (1 - pull)
        if bool(threat.contains(drawn, x, tol=0.0)):
            return drawn
    return None


def _stop(plan: Plan, store: Store, found: Contradiction) -> NoReturn:
    conflict, example = found.conflict, found.conflict.example
    tensors = {
        "x": plan.read([example.row]).inputs[0],
        "delta": conflict.delta,
        "delta_float64": found.delta[0],
    }
    write_atomic(store.folder / f"{CONTRADICTION}.safetensors", tensor_file(tensors))
    path = store.folder / f"{CONTRADICTION}.json"
    write_atomic(path, sealed_json(_record(plan, found), indent=1))
    raise ContradictionError(
        f"{conflict.verdict.certifier} proves that the margin of example {example.index} is at least "
        f"{conflict.verdict.guaranteed:.6g} on {plan.threat}, but it is {found.margin:.6g} "
        f"at a member that {conflict.attack} gives, confirmed {found.run}: "
        f"one of the two is wrong, and what is needed to find out which is in {str(path)!r}"
    )


def _record(plan: Plan, found: Contradiction) -> dict[str, Any]:
    conflict, example = found.conflict, found.conflict.example
    return {
        "row": example.row,
        "index": example.index,
        "label": example.label,
        "outcome": plan.options.outcome.spec(full=True),
        "threat": plan.threat.spec(full=True),
        "attack": conflict.attack,
        "attacks": [attack.spec(full=True) for attack in plan.attacks],
        "certifier": plan.certifiers[conflict.certifier].spec(full=True),
        "margin": found.margin,
        "bound": conflict.verdict.bound,
        "error": conflict.verdict.error,
        "allowance": found.allowance,
        "claim": conflict.verdict.claim,
        "run": found.run,
        "example": attrs.asdict(example),
        "tensors": f"{CONTRADICTION}.safetensors",
    }
