"""Training on the best targeted attack."""

import attrs
import torch
from torch import Tensor, nn

from inradius import AttackedBatch, Dataset, Run, ThreatModel
from inradius.models.modes import evaluating
from inradius.training.attacked_batch import Perturbations
from inradius.training.losses import cross_entropy
from inradius_training.adversarial.wrong_classes import WrongClasses, leads


@attrs.frozen(kw_only=True)
class BETAAT(WrongClasses):
    """min E CE(f(x + δ*), y), where δ* has the largest M_j among the perturbations that maximise M_j = z_j − z_y, j ≠ y.

    The game is not zero-sum: the attack maximises the margin that decides the prediction, the network minimises the
    cross-entropy.
    Source: robey2023, Algorithm 2.
    """

    name = "beta_at"

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each example under the candidate of the largest lead, (B,)."""
        views, goals = self.candidates(model, batch, threat, run)
        # kept like the attacks' perturbations, for a second gradient on the batch
        found = run.tape.recall(lambda: self._best(model, views, goals))
        run.seen = AttackedBatch(batch, found)
        return cross_entropy(run.seen.attacked(model), batch)

    @torch.no_grad()
    def _best(self, model: nn.Module, views: AttackedBatch, goals: Tensor) -> Perturbations:
        assert views.found is not None
        candidates = views.found.candidates
        with evaluating(model, self.bn_mode):
            logits = torch.stack([model(views.inputs + delta) for delta in candidates])
        best = leads(logits, goals, views.batch.labels).argmax(0)
        chosen = candidates[best, torch.arange(len(best), device=best.device)]
        return attrs.evolve(views.found, delta=chosen)
