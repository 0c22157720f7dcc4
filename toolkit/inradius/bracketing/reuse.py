"""What other radii of a curve tell about this one: perturbations found at smaller ones, proofs made at larger ones."""

from collections.abc import Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from inradius.bracketing.example import Verdict
from inradius.bracketing.plan import Plan
from inradius.bracketing.referee import rule
from inradius.bracketing.stages import Findings, Stage


@attrs.frozen(eq=False)
class KnownAttackStage(Stage):
    """Perturbations that an attack found at a smaller radius, by row; they count where the referee confirms them at this one."""

    name: str
    title: str
    deltas: Mapping[int, Tensor]

    @property
    def rows(self) -> set[int]:
        return set(self.deltas)

    def answer(self, job: Plan, rows: Sequence[int]) -> Findings:
        batch = job.batch(rows)
        delta = torch.stack([self.deltas[row] for row in rows]).to(batch.inputs)
        ruling = rule(job.subject, job.threat, batch, delta, self.title)
        kept = ruling.success.nonzero().squeeze(1)
        everyone = torch.ones_like(kept)
        columns = {
            "success": ruling.success[kept],
            "margin": ruling.margin[kept],
            "gauge": ruling.gauge[kept],
            "violation": ruling.violation[kept],
            "inside": ruling.inside[kept],
            "queries": everyone,
            "reused": everyone.bool(),
        }
        return Findings([rows[place] for place in kept.tolist()], columns, ruling.delta[kept])


@attrs.frozen(eq=False)
class KnownCertifierStage(Stage):
    """Certificates over a larger set, by row: what holds there holds in every part of it."""

    name: str
    title: str
    verdicts: Mapping[int, Verdict]

    @property
    def rows(self) -> set[int]:
        return set(self.verdicts)

    def answer(self, job: Plan, rows: Sequence[int]) -> Findings:
        found = [self.verdicts[row] for row in rows]
        names = ("certified", "bound", "error", "precision", "failure_probability")
        columns = {name: torch.tensor([getattr(v, name) for v in found], dtype=_TYPES.get(name)) for name in names}
        reused = torch.ones(len(rows), dtype=torch.bool)
        # the other radius may have been asked at another level
        accepted = torch.tensor([job.accepts(verdict.claim) for verdict in found])
        claims = [verdict.claim for verdict in found]
        return Findings(rows, {**columns, "reused": reused, "accepted": accepted, "claim": claims})


_TYPES = {"bound": torch.float64, "error": torch.float64, "failure_probability": torch.float64}


@attrs.frozen(eq=False)
class ReusedResults:
    """For rows that another radius decided: the attack with its perturbation (*S), or the verdict; empty in a run on its own."""

    broken: Mapping[int, tuple[str, Tensor]] = attrs.field(factory=dict)
    certified: Mapping[int, Verdict] = attrs.field(factory=dict)

    def stages(self, job: Plan) -> Iterator[KnownAttackStage | KnownCertifierStage]:
        """A stage for each method that decided something; a certificate that does not count here is left out."""
        counted = {row: verdict for row, verdict in self.certified.items() if job.accepts(verdict.claim)}
        for n, spec in enumerate(map(str, job.certifiers)):
            verdicts = {row: verdict for row, verdict in counted.items() if verdict.certifier == spec}
            if verdicts:
                yield KnownCertifierStage(f"certifier {n}", f"{spec}, known", verdicts)
        for n, spec in enumerate(map(str, job.attacks)):
            deltas = {row: delta for row, (attack, delta) in self.broken.items() if attack == spec}
            if deltas:
                yield KnownAttackStage(f"attack {n}", f"{spec}, known", deltas)
