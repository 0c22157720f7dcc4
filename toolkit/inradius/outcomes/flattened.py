"""A network with its outputs in one row for each example, as certifiers take them."""

from typing import cast

from torch import Tensor, nn

from inradius.models.picked import picked
from inradius.outcomes.outcome import flat


class Flattened(nn.Module):
    """A network whose outputs (n, ...) come as (n, O)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, (n, O)."""
        found = cast("Tensor", picked(self.model(x)))
        return flat(found)


def flattened(model: nn.Module, outputs: Tensor) -> tuple[nn.Module, Tensor]:
    """The network with flat outputs, and its ``outputs``, flat; the network itself where they are."""
    if outputs.ndim == 2:
        return model, outputs
    return Flattened(model).train(model.training), flat(outputs)
