"""The precision of the forward passes of training, and the scale that keeps small gradients above 0."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

_REDUCED = {"bfloat16": torch.bfloat16, "float16": torch.float16}

PRECISIONS = ("float32", *_REDUCED)

# as torch.amp.GradScaler: 2¹⁶, halved at an overflow, doubled after 2000 steps without one
FIRST_SCALE, _PATIENCE = 2.0**16, 2000
_LEAST_SCALE = 2.0**-14


class GradientOverflowError(ArithmeticError):
    """A gradient was too large for float16 at the present scale: the step is to be left out."""


class Precision:
    """float32, or one that autocast computes the forward passes of training in; weights and losses stay in float32.

    With float16 the losses' gradients are multiplied by ``scale`` where they enter the network, and divided by it where they
    reach the weights: directions and updates see them as they are. Attacks are computed in the same precision; the gradients that
    they follow have scales of their own, one for each example (``inradius.models.kept_gradients``).
    """

    def __init__(self, name: str, device: torch.device) -> None:
        self._dtype, self._device = _REDUCED.get(name), device.type
        self.scales = name == "float16"
        self.scale, self._good = FIRST_SCALE, 0

    def training(self) -> AbstractContextManager[Any]:
        """Within it, the network computes in this precision."""
        if self._dtype is None:
            return nullcontext()
        # without the cache, as weights that were cast without a gradient would be found again where one is wanted
        return torch.autocast(self._device, self._dtype, cache_enabled=False)

    @contextmanager
    def scaling(self, parameters: list[nn.Parameter]) -> Iterator[Callable[[Tensor], Tensor]]:
        """A function of the losses, after which gradients pass the network multiplied by the scale."""
        if not self.scales:
            yield lambda losses: losses
            return
        scale = self.scale
        hooks = [p.register_hook(lambda gradient: gradient / scale) for p in parameters]  # type: ignore[no-untyped-call]
        try:
            yield lambda losses: _Scaled.apply(losses, scale)  # type: ignore[no-untyped-call]
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def exhausted(self) -> bool:
        """True where the scale is so small that an overflow has another cause."""
        return self.scale < _LEAST_SCALE

    def overflowed(self) -> None:
        self.scale, self._good = self.scale / 2, 0

    def stepped(self) -> None:
        self._good += 1
        if self._good == _PATIENCE:
            self.scale, self._good = self.scale * 2, 0

    def state_dict(self) -> dict[str, float]:
        return {"scale": self.scale, "good": self._good}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.scale, self._good = state["scale"], int(state["good"])


class _Scaled(torch.autograd.Function):
    """The same values, with gradients multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None
