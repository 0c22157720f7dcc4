"""The gradient of values in a point, also of values that have none."""

import torch
from torch import Tensor


def slope(value: Tensor, point: Tensor) -> Tensor:
    """The gradient of the sum of values in ``point`` (*S), (*S); 0 where it is not finite, and where torch knows none.

    A search goes on without it: outputs may be constants, or numbers that operators with steps have made.
    """
    found = torch.autograd.grad(value.sum(), point, allow_unused=True)[0] if value.requires_grad else None
    return torch.zeros_like(point) if found is None else found.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
