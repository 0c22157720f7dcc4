"""Tensors that depend on the model's input, while it is recorded."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius import UnsupportedError
from inradius_bounds.capture.graph import Value
from inradius_bounds.capture.source import IN_TORCH, place

Ask = Callable[[Any], None]


class Traced(Tensor):
    """A tensor that depends on the input: the numbers, in ``plain``, and the value of the computation that they are.

    It has no memory of its own, so that nothing outside of torch's operators can read it.
    """

    plain: Tensor
    value: Value
    sizes: "BatchSizes"

    @staticmethod
    def __new__(cls, inner: Tensor, value: Value, sizes: "BatchSizes") -> "Traced":
        made: Traced = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=inner.device,
            requires_grad=False,
        )
        made.plain, made.value, made.sizes = inner, value, sizes
        return made

    @property
    def shape(self) -> torch.Size:  # type: ignore[override]
        return self.sizes.seen(super().shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        return self.sizes.counted(self.plain.shape)

    nelement = numel

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, _: Tensor) -> None:
        raise _unseen("data = ...")

    def tolist(self) -> Any:
        raise _unseen("tolist()")

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise _unseen("numpy()")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise _unseen("a conversion to numpy")

    def __deepcopy__(self, _: Any) -> Any:
        raise _unseen("copy.deepcopy")

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Traced({tuple(self.plain.shape)})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise RuntimeError(f"{func} met a value of a recording that has ended")


def _unseen(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{place({})} uses {what} on a value that depends on the input, which torch's operators do not show; bounds know models "
        "whose numbers stay in torch's operators from the input to the output"
    )


class BatchSizes:
    """Shapes whose first length is a multiple of the number of examples; it hears of questions about that number."""

    def __init__(self, examples: int, ask: Ask | None) -> None:
        self._examples, self._ask = examples, ask

    def seen(self, shape: torch.Size) -> torch.Size:
        """The shape, with a first length that cannot be compared without notice."""
        return torch.Size([self._length(shape[0]), *shape[1:]]) if self._grows(shape) else shape

    def counted(self, shape: torch.Size) -> int:
        """How many numbers a tensor of this shape has, likewise."""
        return self._length(shape.numel()) if self._grows(shape) else shape.numel()

    def _grows(self, shape: torch.Size) -> bool:
        return self._ask is not None and bool(shape) and shape[0] > 0 and shape[0] % self._examples == 0

    def _length(self, number: int) -> int:
        assert self._ask is not None
        return BatchSize(number, self._ask)


class BatchSize(int):
    """A multiple of the number of examples. Arithmetic keeps it one; comparing it with a plain number is reported."""

    _ask: Ask

    def __new__(cls, value: int, ask: Ask) -> "BatchSize":
        made = super().__new__(cls, value)
        made._ask = ask
        return made

    __hash__ = int.__hash__

    def _asked(self, other: object) -> None:
        frame = sys._getframe(2)
        if not isinstance(other, BatchSize) and not frame.f_code.co_filename.startswith(IN_TORCH):
            self._ask(frame)

    def __eq__(self, other: object) -> bool:
        self._asked(other)
        return int(self) == other

    def __ne__(self, other: object) -> bool:
        self._asked(other)
        return int(self) != other

    def __lt__(self, other: int) -> bool:
        self._asked(other)
        return int(self) < other

    def __le__(self, other: int) -> bool:
        self._asked(other)
        return int(self) <= other

    def __gt__(self, other: int) -> bool:
        self._asked(other)
        return int(self) > other

    def __ge__(self, other: int) -> bool:
        self._asked(other)
        return int(self) >= other

    def __bool__(self) -> bool:
        self._asked(None)
        return int(self) != 0

    def __mul__(self, other: int) -> Any:
        return self._kept(int(self) * other)

    def __rmul__(self, other: int) -> Any:
        return self._kept(other * int(self))

    def __add__(self, other: int) -> Any:
        return self._kept(int(self) + other)

    def __radd__(self, other: int) -> Any:
        return self._kept(other + int(self))

    def __sub__(self, other: int) -> Any:
        return self._kept(int(self) - other)

    def __floordiv__(self, other: int) -> Any:
        return self._kept(int(self) // other)

    def __mod__(self, other: int) -> Any:
        return self._kept(int(self) % other)

    def _kept(self, result: Any) -> Any:
        return BatchSize(result, self._ask) if isinstance(result, int) else result
