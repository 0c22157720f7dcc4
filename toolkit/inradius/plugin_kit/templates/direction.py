"""A direction: it makes one gradient of those under several perturbations of each example."""

import attrs
from torch import Tensor, nn

from inradius import RunState
from inradius.training.slots import Direction


@attrs.frozen(kw_only=True)
class AcmeName(Direction):
    """The gradient of each example's largest loss."""

    def __call__(self, losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> None:
        losses.amax(0).sum().backward()  # type: ignore[no-untyped-call]
        run.processes.sum_gradients(parameters)
