"""Helpers of rules that name turning points by formulas."""

import torch
from torch import Tensor, nn

from inradius import UnsupportedError


def log(values: Tensor) -> Tensor:
    """The logarithm; NaN for numbers that have none."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, torch.ones_like(values)).log(), torch.nan)


def check_positive(module: nn.Module, name: str) -> None:
    """Raises ``UnsupportedError`` where a parameter of the layer is not positive."""
    if float(getattr(module, name)) <= 0:
        raise UnsupportedError(f"{module} has {name} ≤ 0, where its turning points are others; allowed is {name} > 0")
