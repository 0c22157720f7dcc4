"""Gradients that pass units that are off: a search follows them out of places where the network is flat."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from inradius.sets.examples import expand

_RELUS = (torch.relu, Tensor.relu, functional.relu)
_IN_PLACE = (torch.relu_, Tensor.relu_)
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
        if not isinstance(given, Tensor) or not _is_relu(func, args[1:], found) or given.shape[:1] != self._leak.shape:
            return func(*args, **found)
        value = _LeakyReLU.apply(given, expand(self._leak.to(given), given))  # type: ignore[no-untyped-call]
        in_place = func in _IN_PLACE or found.get("inplace") or (func is functional.relu and len(args) > 1 and args[1])
        return given.copy_(value) if in_place else value


class _LeakyReLU(torch.autograd.Function):
    """max(z, 0), with the gradient ``leak`` where z ≤ 0."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, leak: Tensor) -> Tensor:
        ctx.save_for_backward(z > 0, leak)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        on, leak = ctx.saved_tensors
        return torch.where(on, gradient, gradient * leak), None


def _is_relu(func: Callable[..., Any], rest: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    if func in _RELUS or func in _IN_PLACE:
        return True
    if func not in _CLAMPS or options.get("max") is not None or len(rest) > 1:
        return False
    least = rest[0] if rest else options.get("min")
    return isinstance(least, int | float) and least == 0
