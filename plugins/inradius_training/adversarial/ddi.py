"""Danskin's descent direction."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from inradius import AdversarialDefense, Attack, Dataset, ExampleRNG, InnerProblem, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, count, flag
from inradius.rng import derive
from inradius.training.losses import cross_entropy
from inradius.training.slots import Constant, Schedule


@attrs.frozen(kw_only=True)
class DDi(AdversarialDefense):
    """min E max_{δ ∈ Δ(x)} CE(f(x + δ), y) along the steepest descent of the largest of ``k`` losses of a mini-batch.

    Each loss is the loss under an attack with its own random numbers, so the attack must be random. The default
    direction of the run is ``min_norm()``, the shortest vector in the convex hull of the k mean gradients. k falls to 1
    as ``decay`` falls from 1 to 0. With ``combine`` two attacks are enough: each of the k perturbations of the batch
    takes, example by example and at random, that of the first or of the second attack. Source: latorre2023, Algorithm 1
    and, for ``combine``, B.4.
    """

    name = "ddi"

    # Latorre et al. 2023, sec. 5.3: PGD-7; the inner problem wants the loss large, not just a miss
    attack: Attack = attrs.field(
        factory=default("pgd(steps=7, keep_maximising=True)", Attack, of="attack of ddi"), validator=component(Attack)
    )
    # Latorre et al. 2023, sec. 5.3
    k: int = attrs.field(default=10, validator=count)
    # Latorre et al. 2023, B.4: linear() is their k from 10 to 1
    decay: Schedule = attrs.field(factory=Constant, validator=component(Schedule))
    combine: bool = attrs.field(default=False, validator=flag)

    def slots(self) -> Mapping[str, str]:
        return {"direction": "min_norm()"}

    def rows(self, progress: float) -> int:
        """The number of perturbations of a batch at a share of the run."""
        return max(1, round(1 + (self.k - 1) * self.decay(progress)))

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each example under each perturbation, (k, B)."""
        rows = self.rows(run.progress)
        attacks = min(rows, 2) if self.combine else rows
        searches = [
            InnerProblem(attack=attrs.evolve(self.attack, seed=self.attack.seed + place), threat=threat)
            for place in range(attacks)
        ]
        losses = cross_entropy(run.views(model, batch, searches, bn_mode=self.bn_mode).each(model), batch)
        return losses if attacks == rows else self._mixed(losses, batch, rows, run)

    def _mixed(self, losses: Tensor, batch: Dataset, rows: int, run: Run) -> Tensor:
        """Rows that take each example's loss from one of two, at random, (2, B) -> (k, B)."""
        rng = ExampleRNG(derive(run.seed, self.seed, "bits", run.epoch), batch.index)
        bits: Tensor = rng.integers(0, 2, (rows,)).mT.to(losses.device)
        return torch.where(bits.bool(), losses[1], losses[0])
