"""The stages of a run: the clean pass, each attack, each certifier; each answers for a batch, in columns."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, get_args

import attrs
import torch
from torch import Tensor

from inradius.attacks.attack import Attack, Attacked
from inradius.attacks.counted_model import CountedModel
from inradius.bracketing.ledger import CLEAN
from inradius.bracketing.plan import Plan
from inradius.bracketing.referee import rule, weights_seal
from inradius.certifiers.certificate import Claim
from inradius.certifiers.certifier import Certifier
from inradius.data.dataset import Dataset
from inradius.errors import PluginError, UnsupportedError


@attrs.frozen(eq=False)
class Findings:
    """The answers of a stage for these rows: columns of (B,), and the perturbations (B, *S) of an attack.

    witnesses: the answers of an attack that a certifier has found on its way, for some of the rows; None where there are none.
    """

    rows: Sequence[int]
    columns: Mapping[str, Tensor | Sequence[str] | Sequence[None]]
    delta: Tensor | None = None
    witnesses: "Findings | None" = None

    def plain(self) -> dict[str, list[Any]]:
        """The columns as lists of numbers and words."""
        columns = self.columns.items()
        return {name: column.tolist() if isinstance(column, Tensor) else list(column) for name, column in columns}


# part of the message of torch where nothing in a graph asks for a gradient
_NO_GRADIENT = "does not require grad"


class Stage(ABC):
    """One method on all the examples that need it; ``name`` is its name in the run folder, ``title`` the one on the screen."""

    name: str
    title: str

    @abstractmethod
    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        """The answers for these rows of the data, or for a part of them."""


@attrs.frozen
class CleanStage(Stage):
    """The prediction and the margin without perturbation."""

    name: str = CLEAN
    title: str = "clean pass"

    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        batch, outcome = plan.batch(rows), plan.options.outcome
        with torch.no_grad():
            outputs = CountedModel(plan.judged, batch.labels, outcome=outcome).outputs(batch.inputs)
            predicted, margin = outcome.predicted(outputs), outcome.judged(outputs, batch.labels)
        return Findings(rows, {"predicted": [None] * len(rows) if predicted is None else predicted, "margin": margin})


@attrs.frozen
class AttackStage(Stage):
    """An attack, on the union where the set is one; the referee judges what it finds."""

    name: str
    attack: Attack

    @property
    def title(self) -> str:  # type: ignore[override]
        return str(self.attack)

    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        batch = plan.batch(rows)
        # copies for the referee, because an attack may write on its inputs
        kept = attrs.evolve(batch, inputs=batch.inputs.clone(), labels=batch.labels.clone())
        seal = weights_seal(plan.model)
        found = self._found(plan, batch)
        if weights_seal(plan.model) != seal:
            raise PluginError(
                f"{self.attack} changed the model's weights or buffers, so that no result after it is the model's; "
                "an attack may only read them"
            )
        ruling = rule(plan.judged, plan.threat, kept, found.delta, self.attack, plan.options.outcome)
        inside = ruling.inside & _flags(found.inside, ruling.inside)
        success, claimed = ruling.success & inside, _flags(found.success, ruling.inside)
        if plan.votes > 1:
            # the attack's own claim is that of one pass
            claimed = success
        # a minimal-norm attack may answer from outside, as long as it does not call that a success
        rejected = (claimed & ~success & ~ruling.within_rounding) | (~inside & (not self.attack.minimal))
        columns = attrs.evolve(ruling, success=success, inside=inside).columns(found.queries)
        return Findings(rows, {**columns, "rejected": rejected}, ruling.delta)

    def _found(self, plan: Plan, batch: Dataset) -> Attacked:
        try:
            # a smallest perturbation ends on the boundary, where rounding makes the copy differ from the model
            exact = self.attack.minimal or self.attack.has_records()
            model = plan.subject if exact else plan.quick
            options: dict[str, Any] = {"index": batch.index, "outcome": plan.options.outcome}
            return self.attack(model, batch.inputs, batch.labels, plan.threat, **options)
        except RuntimeError as error:
            if _NO_GRADIENT not in str(error):
                raise
            raise UnsupportedError(
                f"{self.attack} needs gradients, and the model's logits carry none with respect to its inputs; "
                "allowed for gradient attacks are models that torch differentiates (no detach, no numpy inside)"
            ) from error


def _flags(given: Tensor, like: Tensor) -> Tensor:
    """Truth values (B,) that an attack gave, on the referee's device; all False where they have another shape."""
    return given.to(like.device, torch.bool) if given.shape == like.shape else torch.zeros_like(like)


@attrs.frozen
class CertifierStage(Stage):
    """A certifier; of the bounds of an example the smallest counts. The referee judges its witnesses as answers of an attack."""

    name: str
    certifier: Certifier

    @property
    def title(self) -> str:  # type: ignore[override]
        return str(self.certifier)

    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        batch = plan.batch(rows)
        options: dict[str, Any] = {
            "index": batch.index,
            "union": plan.options.union,
            "claim": plan.options.claim,
            "decide": True,
            "outcome": plan.options.outcome,
        }
        found = self.certifier(plan.model, batch.inputs, batch.labels, plan.threat, **options)
        bound, guaranteed = found.bound, found.guaranteed
        if found.clauses is not None:
            # a clause that several rows prove together is above 0, although none of their bounds may be
            bound, guaranteed = (torch.where(found.certified, side.clamp(min=0), side) for side in (bound, guaranteed))
        # a proof has no chance of failure
        chance = [0.0 if level in get_args(Claim) else found.failure_probability for level in found.claim]
        columns: dict[str, Tensor | Sequence[str]] = {
            "certified": found.certified,
            "bound": bound,
            # the difference of two infinite bounds is NaN, and the error is then 0
            "error": (bound - guaranteed).nan_to_num(nan=0.0),
            "precision": found.precision,
            "failure_probability": torch.tensor(chance, dtype=torch.float64),
            "claim": found.claim,
            "accepted": torch.tensor([plan.accepts(level) for level in found.claim]),
        }
        return Findings(rows, columns, witnesses=self._witnesses(plan, rows, batch, found.witness))

    def _witnesses(self, plan: Plan, rows: Sequence[int], batch: Dataset, witness: Tensor | None) -> Findings | None:
        """The answers for the rows that have a witness, (B, *S) with NaN for the others."""
        if witness is None:
            return None
        told = witness.flatten(1).isfinite().all(1).nonzero().squeeze(1)
        ruling = rule(plan.judged, plan.threat, batch.select(told), witness[told], self.certifier, plan.options.outcome)
        columns = ruling.columns()
        rejected = ~(columns["success"] | columns["within_rounding"])
        return Findings([rows[place] for place in told.tolist()], {**columns, "rejected": rejected}, ruling.delta)


def stages(plan: Plan) -> Iterator[Stage]:
    """The attacks and certifiers in the order they run: the first certifier, the first attack, the second certifier, ...

    Within a kind the given order stands: whoever lists cheap methods first has the cheapest first. A certifier goes before
    its attack because a bound takes a few passes and an attack as many as it has steps. Times are not measured: an order
    that depends on the machine would make the results depend on it.
    """
    for n, (certifier, attack) in enumerate(zip_longest(plan.certifiers, plan.attacks)):
        if certifier is not None:
            yield CertifierStage(f"certifier {n}", certifier)
        if attack is not None:
            yield AttackStage(f"attack {n}", attack)
