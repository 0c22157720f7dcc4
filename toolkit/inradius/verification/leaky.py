"""Gradients that pass units that are off: a search follows them out of places where the network is flat."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_RELUS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, torch.nn.functional.relu)
_CLAMPS = (torch.clamp, Tensor.clamp, torch.clamp_min, Tensor.clamp_min)


class LeakyGradients(TorchFunctionMode):
    """A block in which a ReLU has the gradient ``leak`` (B,) where it is off, one for each example; values stay as they are.

    A ReLU is one of torch's functions of this name, or a clamp at 0 from below. Values of another batch size are left alone.
    Source: athalye2018.
    """

    def __init__(self, leak: Tensor) -> None:
        super().__init__()
        self._leak = leak

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The function's value; of a ReLU with the gradient of a leaky one."""
        found = dict(kwargs or {})
        given = args[0] if args else found.get("input")
        if not isinstance(given, Tensor) or not _is_relu(func, args[1:], found) or len(given) != len(self._leak):
            return func(*args, **found)
        below = given.clamp(max=0) * self._leak.to(given).view(-1, *(1,) * (given.ndim - 1))
        return func(*args, **found) + (below - below.detach())


def _is_relu(func: Callable[..., Any], rest: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    if func in _RELUS:
        return True
    if func not in _CLAMPS or options.get("max") is not None or len(rest) > 1:
        return False
    least = rest[0] if rest else options.get("min")
    return isinstance(least, int | float) and least == 0
