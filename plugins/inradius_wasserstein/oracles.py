"""The oracles of a Wasserstein ball: each algorithm has a module of its own, this one asks them."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inradius import Oracles
from inradius.arithmetic.precision import upward
from inradius_wasserstein.transport import hard_violation, plan_cost

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

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        # in float64, costs and budget too: a referee is as exact as it can be
        cost, _ = plan_cost(delta, x, self.ball.moves(x.double()))
        budget = self.budgets(x.double())
        at_zero = torch.where(delta.flatten(1).any(1), torch.inf, cost)
        return upward(torch.where(budget > 0, cost / budget, at_zero), torch.promote_types(delta.dtype, x.dtype))

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        unplaced = hard_violation(delta, x, self.ball.moves(x.double()), self.ball.cap)
        return unplaced.to(torch.promote_types(delta.dtype, x.dtype))
