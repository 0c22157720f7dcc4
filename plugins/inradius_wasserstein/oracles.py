"""The oracles of a Wasserstein ball: each algorithm has a module of its own, this one asks them."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

from inradius import Oracles

if TYPE_CHECKING:
    from inradius_wasserstein.ball import Wasserstein


class TransportBall(Oracles, ABC):
    """{δ : x + δ reachable from x by moves of total cost at most the budget}, one budget for each example."""

    @property
    @abstractmethod
    def ball(self) -> "Wasserstein":
        """The moves, their costs and the pixel cap."""

    @abstractmethod
    def budgets(self, x: Tensor) -> Tensor:
        """The cost that each example's plan may have, (B,)."""

    @property
    def convex(self) -> bool:
        return True
