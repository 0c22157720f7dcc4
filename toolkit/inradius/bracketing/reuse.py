"""The results of other radii of a curve, used at this one: perturbations of smaller radii, certificates of larger ones."""

from collections.abc import Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from inradius.bracketing.example import Verdict
from inradius.bracketing.plan import Plan
from inradius.bracketing.referee import rule
from inradius.bracketing.stages import Findings, Stage


@attrs.frozen(eq=False)
class ReusedAttackStage(Stage):
    """Perturbations that an attack, or a certifier, found at a smaller radius, by row.

    They count where the referee confirms them at this one.
    """

    name: str
    title: str
    deltas: Mapping[int, Tensor]

    @property
    def rows(self) -> set[int]:
        return set(self.deltas)

    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        batch = plan.batch(rows)
        delta = torch.stack([self.deltas[row] for row in rows]).to(batch.inputs)
        ruling = rule(plan.judged, plan.threat, batch, delta, self.title, plan.options.outcome)
        kept = ruling.success.nonzero().squeeze(1)
        columns = {name: column[kept] for name, column in ruling.columns().items()}
        columns["reused"] = torch.ones_like(kept, dtype=torch.bool)
        return Findings([rows[place] for place in kept.tolist()], columns, ruling.delta[kept])


@attrs.frozen(eq=False)
class ReusedCertifierStage(Stage):
    """Certificates over a larger set, by row: they hold for every set within it."""

    name: str
    title: str
    verdicts: Mapping[int, Verdict]

    @property
    def rows(self) -> set[int]:
        return set(self.verdicts)

    def answer(self, plan: Plan, rows: Sequence[int]) -> Findings:
        found = [self.verdicts[row] for row in rows]
        names = ("certified", "bound", "error", "precision", "failure_probability")
        columns = {name: torch.tensor([getattr(v, name) for v in found], dtype=_TYPES.get(name)) for name in names}
        reused = torch.ones(len(rows), dtype=torch.bool)
        # the other radius may have been asked at another level
        accepted = torch.tensor([plan.accepts(verdict.claim) for verdict in found])
        claims = [verdict.claim for verdict in found]
        return Findings(rows, {**columns, "reused": reused, "accepted": accepted, "claim": claims})


_TYPES = {"bound": torch.float64, "error": torch.float64, "failure_probability": torch.float64}


@attrs.frozen(eq=False)
class ReusedResults:
    """For each row that another radius decided: the attack or the certifier with its perturbation (*S), or the verdict."""

    broken: Mapping[int, tuple[str, Tensor]] = attrs.field(factory=dict)
    certified: Mapping[int, Verdict] = attrs.field(factory=dict)

    def stages(self, plan: Plan) -> Iterator[ReusedAttackStage | ReusedCertifierStage]:
        """A stage for each method that decided something; a certificate that does not count here is left out."""
        counted = {row: verdict for row, verdict in self.certified.items() if plan.accepts(verdict.claim)}
        for n, spec in enumerate(map(str, plan.certifiers)):
            verdicts = {row: verdict for row, verdict in counted.items() if verdict.certifier == spec}
            if verdicts:
                yield ReusedCertifierStage(f"certifier {n}", f"{spec}, reused", verdicts)
        for kind, methods in (("attack", plan.attacks), ("witness", plan.certifiers)):
            for n, spec in enumerate(map(str, methods)):
                deltas = {row: delta for row, (by, delta) in self.broken.items() if by == spec}
                if deltas:
                    yield ReusedAttackStage(f"{kind} {n}", f"{spec}, reused", deltas)
