"""Limits of what a file may ask for, which are checked before memory is taken."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# numbers of one tensor that reading a file may compute: half a GiB in single precision
MOST_NUMBERS = 2**27
# numbers of all values that are held at a time while a file is read
MOST_HELD = 2**29
# bytes of a file; protobuf itself reads no more, weights beside the file are not counted
MOST_BYTES = 2**31 - 1
MOST_NODES = 200_000
MOST_AXES = 16


class TooLargeError(Exception):
    """A tensor would hold more numbers than reading a file may compute."""


def check_size(shape: Iterable[int]) -> None:
    """Raises ``TooLargeError`` where a tensor of this shape would hold too many numbers."""
    lengths = tuple(shape)
    if math.prod(lengths) > MOST_NUMBERS or len(lengths) > MOST_AXES:
        raise TooLargeError(f"a tensor of shape {lengths} has more than {MOST_NUMBERS} numbers or {MOST_AXES} axes")


class _Measured(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Checks the size of every tensor that an operator makes."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, Tensor):
                check_size(value.shape)
        return found


def measure(apply: Callable[..., Any], tensors: Iterable[Tensor | None]) -> None:
    """Runs an operator on shapes alone. Raises ``TooLargeError`` where a value on the way is too large, and what torch raises."""
    shadows = [None if tensor is None else torch.empty_like(tensor, device="meta") for tensor in tensors]
    with torch.no_grad(), _Measured():  # type: ignore[no-untyped-call]
        apply(*shadows)
