"""The interface of an update to one step of the weights."""

from abc import ABC, abstractmethod

import attrs
from torch import nn

from inradius.data.dataset import Dataset
from inradius.training.state import RunState


@attrs.define(eq=False, kw_only=True)
class Descent(ABC):
    """The gradients that an update asks for on a mini-batch, and the optimiser's step.

    Each gradient is that of the defense's loss with the regularizers and the direction of the run. ``ahead`` is the next
    mini-batch for an update with ``lookahead``, None at the end of an epoch.
    """

    run: RunState
    model: nn.Module
    batch: Dataset
    ahead: Dataset | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        return self.run.parameters

    @abstractmethod
    def gradient(self, *, ahead: bool = False, reattack: bool = False) -> float:
        """The mean loss at the present weights; its gradient, of all processes, is then in each parameter's ``grad``.

        ``ahead`` takes the next mini-batch. A batch is attacked once; ``reattack`` attacks it again, at these weights.
        Raises ``DivergenceError`` where loss or gradient is not finite.
        """

    @abstractmethod
    def step(self) -> None:
        """Takes the optimiser's step along the gradients that are in ``grad``, at the scheduled learning rate."""
