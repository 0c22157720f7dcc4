"""Certified training that moves from backward bounds to intervals."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Certifier, Dataset, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, share
from inradius_training.certification.certified import Certified


@attrs.frozen(kw_only=True)
class CrownIBP(Certified):
    """``certified`` with the bounds (1 − β) · interval + β · backward pass over interval bounds of inner layers.

    The backward bounds are tighter on the loose networks at the start of training, and keep it stable. Interval bounds
    are tight on the trained network. Over the first share ``ramp`` of the run β goes from 1 to ``beta``. Any mixture of
    two lower bounds is a lower bound. Source: zhang2020.
    """

    # what β mixes in; interval bounds inside, so that it costs one backward pass
    backward: Certifier = attrs.field(
        factory=default("crown(inner='interval', intersect=False, best=False)", Certifier, of="backward of crown_ibp"),
        validator=component(Certifier),
    )
    # Zhang et al. 2020: κ and β fall to 0 (β stays at 1 for the small radius on CIFAR-10)
    kappa: float = attrs.field(default=0.0, validator=share)
    beta: float = attrs.field(default=0.0, validator=share)

    def backward_weight(self, progress: float) -> float:
        """β at a share of the run."""
        return 1 - (1 - self.beta) * self.ramped(progress)

    def lower(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The mixture of both bounds of the margins, (B, K)."""
        weight = self.backward_weight(run.progress)
        wanted = ((self.certifier, 1 - weight), (self.backward, weight))
        bounds = [part * self.bound(kind, model, batch, threat, run.epoch) for kind, part in wanted if part]
        return torch.stack(bounds).sum(0)
