"""A defense: training on random points of the set."""

import attrs
from torch import Tensor, nn

from inradius import Dataset, Defense, ExampleRNG, Run, ThreatModel
from inradius.rng import derive
from inradius.training.losses import cross_entropy


@attrs.frozen(kw_only=True)
class AcmeName(Defense):
    """Cross-entropy at a random point of Δ(x), drawn anew in each epoch."""

    def loss(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        rng = ExampleRNG(derive(run.seed, "acme_name", run.epoch), batch.index)
        return cross_entropy(model(batch.inputs + threat.sample(batch.inputs, rng=rng)), batch)
