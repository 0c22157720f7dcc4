"""One training run: what a defense is given beside the model, the data and the set."""

from collections.abc import Iterator

from torch import Tensor, nn

from inradius.data import Dataset
from inradius.threat import ThreatModel


class Run:
    """The engine of a training run."""

    def epochs(self) -> Iterator[int]:
        yield from ()

    def batches(self, data: Dataset) -> Iterator[Dataset]:
        yield from ()

    def descend(self, losses: Tensor) -> None: ...

    def validate(self, model: nn.Module, threat: ThreatModel) -> None: ...

    def finish(self, model: nn.Module) -> nn.Module:
        return model
