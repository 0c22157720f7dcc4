"""Tensors that depend on the model's input, while it is recorded."""

from typing import Any

import torch
from torch import Tensor

from inradius import UnsupportedError
from inradius_bounds.capture.batch_size import BatchSizes
from inradius_bounds.capture.graph import Value
from inradius_bounds.capture.source import place


class TracedTensor(Tensor):
    """A tensor that depends on the input: its numbers in ``plain``, and its value in the computation.

    It has no memory of its own, so that only torch's operators can read it.
    """

    plain: Tensor
    value: Value
    sizes: BatchSizes
    refusals: list[UnsupportedError]

    @staticmethod
    def __new__(
        cls, inner: Tensor, value: Value, sizes: BatchSizes, refusals: list[UnsupportedError]
    ) -> "TracedTensor":
        made: TracedTensor = Tensor._make_wrapper_subclass(
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
        made.refusals = refusals
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
        raise self._unseen("data = ...")

    def tolist(self) -> Any:
        raise self._unseen("tolist()")

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise self._unseen("numpy()")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._unseen("a conversion to numpy")

    def apply_(self, *_: Any) -> Any:
        raise self._unseen("apply_()")

    def map_(self, *_: Any) -> Any:
        raise self._unseen("map_()")

    def map2_(self, *_: Any) -> Any:
        raise self._unseen("map2_()")

    def __deepcopy__(self, _: Any) -> Any:
        raise self._unseen("copy.deepcopy")

    def __format__(self, _: str) -> str:
        raise self._unseen("its text")

    def __dlpack__(self, *_: Any, **__: Any) -> Any:
        raise self._unseen("dlpack")

    def data_ptr(self) -> int:
        raise self._unseen("data_ptr()")

    def untyped_storage(self) -> Any:
        raise self._unseen("untyped_storage()")

    def _unseen(self, what: str) -> UnsupportedError:
        error = UnsupportedError(
            f"{place({})} uses {what} on a value that depends on the input, which is outside of torch's operators; allowed are "
            "models whose numbers stay in torch's operators from the input to the output"
        )
        # the model may catch the error and go on
        self.refusals.append(error)
        return error

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"TracedTensor({tuple(self.plain.shape)})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise UnsupportedError(
            f"{func} met a value outside of the run that it is recorded in, as in another thread, or in a call that comes later; "
            "allowed are models that compute in one thread and remember nothing"
        )
