"""Bounds that underflow has made too large, recovered."""

from collections.abc import Callable

import torch
from torch import Tensor


def recovered(value: Tensor, raised: Tensor, moved: Callable[[Tensor], Tensor]) -> Tensor:
    """``raised``, a value ≥ 0 together with what underflow may have taken from it; where there was nothing to take it is 0.

    ``moved`` is asked for those places that are 0, a mask of value's shape, and says which of them are a sum of products that
    are not 0, (places,).
    """
    still = value == 0
    if not bool(still.any()):
        return raised
    idle = torch.zeros_like(still)
    idle[still] = ~moved(still)
    return torch.where(idle, torch.zeros_like(raised), raised)
