"""Training without a defense."""

import attrs
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Dataset, Defense, Run, ThreatModel


@attrs.frozen(kw_only=True)
class Standard(Defense):
    """min E CE(f(x), y): the reference that every defense is compared with; the set is not used."""

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each clean example, (B,)."""
        return F.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
