"""The numbers of chosen examples of a batch."""

import torch
from torch import Tensor


def picked(values: Tensor, index: Tensor) -> Tensor:
    """The values of the examples with these numbers, (B, ...) and (D,) -> (D, ...); not copied where B is 1."""
    if len(values) == 1 and index.dtype != torch.bool:
        return values.expand(len(index), *values.shape[1:])
    return values[index]
