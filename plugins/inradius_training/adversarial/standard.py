"""Training without a defense."""

from typing import ClassVar

import attrs
from torch import Tensor, nn

from inradius import Dataset, Defense, Run, ThreatModel
from inradius.training.losses import cross_entropy


@attrs.frozen(kw_only=True)
class Standard(Defense):
    """min E CE(f(x), y): the baseline of every defense; the set is not used."""

    needs_set: ClassVar[bool] = False

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """The cross-entropy of each clean example, (B,)."""
        return cross_entropy(run.look(batch).clean(model), batch)
