"""Plain forms of functions whose kernels are fused or write in place: attention, recurrent layers, circular padding."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from inradius_bounds.capture import recurrent


@contextmanager
def plain_kernels() -> Iterator[None]:
    """While the block runs, attention is products and softmax, recurrent layers are steps, and padding writes nothing in place.

    All these are operators that have bounds; the fused kernels compute the same functions and round differently.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), _PlainFunctions():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _PlainFunctions(TorchFunctionMode):
    """Calls the plain form of a function where there is one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        plain = _PLAIN.get(getattr(func, "__name__", ""))
        found = NotImplemented if plain is None else plain(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if found is NotImplemented else found


def _pad(func: Any, image: Tensor, sizes: Any, mode: str = "constant", *_: Any, **__: Any) -> Any:
    """Circular padding by joins of the image's own ends; NotImplemented for other modes."""
    if mode != "circular" or func is not torch.nn.functional.pad:
        return NotImplemented
    for number in range(len(sizes) // 2):
        axis = image.ndim - 1 - number
        before, after, length = int(sizes[2 * number]), int(sizes[2 * number + 1]), image.shape[axis]
        if not (0 <= before <= length and 0 <= after <= length):
            return NotImplemented
        ends = image.narrow(axis, length - before, before), image.narrow(axis, 0, after)
        image = torch.cat([ends[0], image, ends[1]], dim=axis)
    return image


def _steps(function: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent function whose steps are marked as those of another kernel while they run."""

    def run(*args: Any, **kwargs: Any) -> Any:
        token = _OTHER_KERNEL.set(True)
        try:
            return function(*args, **kwargs)
        finally:
            _OTHER_KERNEL.reset(token)

    return run


def of_another_kernel() -> bool:
    """True while operators run that stand for a fused kernel of the model, which rounds in another way."""
    return _OTHER_KERNEL.get()


_OTHER_KERNEL: ContextVar[bool] = ContextVar("of_another_kernel", default=False)
_PLAIN: dict[str, Callable[..., Any]] = {
    "pad": _pad,
    "lstm": _steps(recurrent.lstm),
    "gru": _steps(recurrent.gru),
    "rnn_tanh": _steps(recurrent.rnn_tanh),
    "rnn_relu": _steps(recurrent.rnn_relu),
    "lstm_cell": _steps(recurrent.lstm_cell),
    "gru_cell": _steps(recurrent.gru_cell),
    "rnn_tanh_cell": _steps(recurrent.rnn_tanh_cell),
    "rnn_relu_cell": _steps(recurrent.rnn_relu_cell),
}
