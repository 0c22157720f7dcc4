"""The support function of a Wasserstein ball without a cap, exact, and the plan that attains it.

Any price of the budget gives an upper bound, so rounding in its search is harmless.
"""

import torch
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves
from inradius_wasserstein.support.budget_dual import BudgetDual


def support_value(c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> Tensor:
    """max ⟨c, δ⟩, rounded upwards, (B, K, n), (B, n), (B,) -> (B, K)."""
    return BudgetDual(c, x, moves, budget, where=False).value()


def support_point(c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> Tensor:
    """A maximiser δ of ⟨c, δ⟩ whose cost is at most the budget, (B, K, n)."""
    return BudgetDual(c, x, moves, below(budget), where=True).point()


def support_with_point(c: Tensor, x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, Tensor]:
    """The value, rounded upwards, and a maximiser, which is the value's gradient, (B, K), (B, K, n)."""
    dual = BudgetDual(c, x, moves, budget, where=True)
    return dual.value(), dual.point()


def below(budget: Tensor) -> Tensor:
    """A slightly smaller budget, kept in whatever order the costs are added up, in the shape given."""
    return budget * (1 - 16 * torch.finfo(budget.dtype).eps)
