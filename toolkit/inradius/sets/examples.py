"""Values of each example beside a batch of inputs, and inputs that are numbers."""

import math

import torch
from torch import Tensor

from inradius.errors import InputError


def expand(values: Tensor, like: Tensor) -> Tensor:
    """(B,) values with trailing axes of length one, to go with (B, *S)."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def check_finite(x: Tensor) -> None:
    """Raises ``InputError`` where an input is NaN or infinite."""
    # a sum of finite numbers mostly is finite, and no other is; it costs a fraction of looking at each
    if math.isfinite(float(x.detach().sum())):
        return
    bad = (~torch.isfinite(x)).flatten(1).any(1)
    if bool(bad.any()):
        raise InputError(f"input {int(bad.nonzero()[0])} has NaN or infinite values; allowed are finite numbers")
