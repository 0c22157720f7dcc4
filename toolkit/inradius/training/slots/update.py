"""Updates: how gradients move the weights."""

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs

from inradius.components.component import Component
from inradius.training.descent import Descent


@attrs.frozen(kw_only=True)
class Update(Component, ABC):
    """One step of the weights. It asks for as many gradients as it likes, at weights of its choice, before it steps.

    Weights that it moves to look elsewhere must be put back, also where a gradient raises. The memory of an update is
    ``descent.run.memory(self)``, which is saved with the run.
    """

    # whether ``descent.gradient(ahead=True)`` is to be had: the gradient on the next batch
    lookahead: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, descent: Descent) -> None:
        """Moves the weights by the methods of ``descent``: ``gradient``, ``parameters`` and ``step``."""


@attrs.frozen(kw_only=True)
class Plain(Update):
    """The optimiser's step along the gradient."""

    def __call__(self, descent: Descent) -> None:
        descent.gradient()
        descent.step()
