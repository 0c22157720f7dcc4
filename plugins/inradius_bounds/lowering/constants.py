"""Constants of a computation, in the type that bounds are computed in."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.compare import MOVES, same_bits
from inradius_bounds.capture.graph import ModuleOperator, OperatorCall, Value, replaced
from inradius_bounds.lowering.read_tensors import ReadTensors

# functions with steps, at which a rounding error makes a large change
_STEPS = {
    "floor", "ceil", "round", "trunc", "frac", "sign", "heaviside", "floor_divide", "remainder", "fmod", "sort", "topk", "max",
    "min", "median", "kthvalue", "mode", "sgn", "quantize_per_tensor", "fake_quantize_per_tensor_affine_cachemask",
    "fake_quantize_per_channel_affine_cachemask",
}  # fmt: skip


class ConstantStore:
    """The constants of one graph in one floating-point type, read from the model's own tensors.

    Computed constants are kept until ``forget`` finds that a tensor has changed. They are computed in float64 and rounded once.
    Where gradients are recorded, they are computed in their own type, and parameters are never copied, so that gradients reach
    them. Without ``exact`` they are computed as the model does, in the model's types. The same holds always for whole numbers,
    truth values, functions with steps, and all that the model computes in a type shorter than its own, ``native``.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        *,
        exact: bool = True,
        native: torch.dtype = torch.float16,
        read: ReadTensors | None = None,
    ) -> None:
        self.dtype, self.exact, self.native = dtype, exact, native
        self._values: dict[object, Any] = {}
        # constants that steps were built from, with their numbers at that time
        self._fixed: list[tuple[ConstantTensor, Tensor]] = []
        # the model's tensors that everything was computed from
        self._read = ReadTensors() if read is None else read
        self._changes = self._read.changes
        wide = dtype == torch.float64
        self._double = self if wide else ConstantStore(torch.float64, exact=exact, native=native, read=self._read)

    def forget(self) -> None:
        """Drops everything that was computed, where the model's tensors have changed or gradients are recorded."""
        changes = self._read.update()
        if changes != self._changes:
            self._changes = changes
            self._values.clear()
            self._double._values.clear()

    def fixed(self, constant: "ConstantTensor") -> Tensor:
        """The numbers of a constant from which steps are built, such as places, masks and conditions."""
        found = constant.value
        self._fixed.append((constant, found.clone()))
        return found

    @property
    def unchanged(self) -> bool:
        """True if the constants that steps were built from still have the same numbers."""
        if self._fixed:
            self.forget()
        return all(same_bits(constant.value, before) for constant, before in self._fixed)

    def of(self, value: Value) -> "ConstantTensor":
        """A constant of the graph."""
        return ConstantTensor(self, lambda store: store.tensor(value))

    def made(self, make: Callable[..., Tensor], *parts: "ConstantTensor") -> "ConstantTensor":
        """A constant that is computed from others."""
        return ConstantTensor(self, lambda store: store.rounded(lambda wide: make(*(part.on(wide) for part in parts))))

    def converted(self, constant: "ConstantTensor", dtype: torch.dtype) -> "ConstantTensor":
        """A constant whose numbers are rounded to a type of the model."""
        return ConstantTensor(self, lambda store: constant.on(store).to(dtype).to(store.dtype))

    def kept(self, key: object, make: Callable[[], Any]) -> Any:
        """The result of ``make``, which is called once until ``forget``."""
        if key not in self._values:
            # a graph of gradients serves once
            self._read.lost |= torch.is_grad_enabled()
            self._values[key] = make()
        return self._values[key]

    def rounded(self, make: Callable[["ConstantStore"], Any]) -> Any:
        """A number in this type that is computed from constants in float64."""
        return self.wide(make(self if torch.is_grad_enabled() else self._double))

    def tensor(self, value: Value) -> Tensor:
        """A constant of the graph, in this type."""
        given = value.leaf
        if given is not None:
            leaf: Tensor = self.kept(value, lambda: self.wide(_usable(self._noted(given))))
            return leaf
        call = value.call
        assert call is not None
        results = self.kept(call, lambda: self._results(call))
        found: Tensor = results[value.place] if isinstance(results, tuple | list) else results
        return found

    def _results(self, call: OperatorCall) -> Any:
        if not self.exact or self._is_native(call):
            return self.wide(_run(call, NativeConstants(self._noted)))
        # operators that only move numbers do not round
        return _run(call, self) if call.name in MOVES else self.rounded(lambda store: _run(call, store))

    def _noted(self, leaf: Tensor) -> Tensor:
        self._read.note(leaf)
        return leaf

    def _is_native(self, call: OperatorCall) -> bool:
        """True if a call is computed as in the model: for whole numbers, steps, and types shorter than the model's."""
        bits = torch.finfo(self.native).bits
        results = [value.dtype for value in call.results if value is not None]
        short = any(not dtype.is_floating_point or torch.finfo(dtype).bits < bits for dtype in results)
        return short or call.name in _STEPS

    def wide(self, given: Any) -> Any:
        """Floating-point tensors in this type, alone or in a tuple."""
        if isinstance(given, tuple | list):
            return type(given)(self.wide(each) for each in given)
        if isinstance(given, Tensor) and given.is_floating_point() and given.dtype != self.dtype:
            return given.to(self.dtype)
        return given


def _usable(leaf: Tensor) -> Tensor:
    """A tensor that gradients of others may be computed with. A tensor of inference mode is copied."""
    return leaf.clone() if leaf.is_inference() else leaf


class NativeConstants:
    """Constants in the types of the model, computed on demand. Each tensor of the model passes ``read`` first."""

    def __init__(self, read: Callable[[Tensor], Tensor] = lambda leaf: leaf) -> None:
        self._read = read

    def tensor(self, value: Value) -> Tensor:
        """A constant of the graph."""
        if value.leaf is not None:
            return self._read(value.leaf)
        assert value.call is not None
        results = _run(value.call, self)
        found: Tensor = results[value.place] if isinstance(results, tuple | list) else results
        return found

    def wide(self, given: Any) -> Any:
        """The argument, unchanged."""
        return given


def _run(call: OperatorCall, store: "ConstantStore | NativeConstants") -> Any:
    """The results of an operator for constants in a store's type."""
    assert not isinstance(call.op, ModuleOperator)
    fill: Callable[[Any], Any] = lambda each: store.tensor(each) if isinstance(each, Value) else each  # noqa: E731
    args, kwargs = replaced(call.args, fill), replaced(call.kwargs, fill)
    if call.op._schema.is_mutable:
        # an operator in place writes on its first argument
        args = (args[0].clone(), *args[1:])
    return store.wide(call.op(*args, **kwargs))


class ConstantTensor:
    """A constant tensor. ``value`` is computed on demand."""

    def __init__(self, store: ConstantStore, make: Callable[[ConstantStore], Tensor]) -> None:
        self._store, self._make = store, make

    @property
    def value(self) -> Tensor:
        return self.on(self._store)

    def on(self, store: ConstantStore) -> Tensor:
        """The value of the constant, computed and kept by a store; the store decides its type."""
        found: Tensor = store.kept(self, lambda: self._make(store))
        return found

    def then(self, make: Callable[[Tensor], Tensor]) -> "ConstantTensor":
        """A function of this constant that moves its numbers, or rounds each once."""
        return ConstantTensor(self._store, lambda store: make(self.on(store)))
