"""Constants of a computation, in the type that bounds are computed in."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.graph import Call, Kept, Value, replaced


class Constants:
    """The constants of one graph in one floating-point type, read from the model's own tensors.

    What is computed from them is kept until ``forget``; parameters themselves are never copied in their own type, so that
    gradients reach them.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._values: dict[object, Any] = {}

    def forget(self) -> None:
        """Lets go of everything that was computed, as the model's tensors may have changed."""
        self._values.clear()

    def of(self, value: Value) -> "Constant":
        """A constant of the graph."""
        return Constant(self, lambda: self._tensor(value))

    def made(self, make: Callable[..., Tensor], *parts: "Constant | Tensor | float") -> "Constant":
        """A constant made of others."""
        return Constant(self, lambda: make(*(part.value if isinstance(part, Constant) else part for part in parts)))

    def kept(self, key: object, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once until ``forget``."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]

    def _tensor(self, value: Value) -> Tensor:
        if value.leaf is not None:
            return self.kept(value, lambda: self._wide(value.leaf))
        assert value.call is not None
        call = value.call
        results = self.kept(call, lambda: self._results(call))
        found: Tensor = results[value.place] if isinstance(results, tuple | list) else results
        return found

    def _results(self, call: Call) -> Any:
        assert not isinstance(call.op, Kept)
        fill: Callable[[Any], Any] = lambda each: self._tensor(each) if isinstance(each, Value) else each  # noqa: E731
        args, kwargs = replaced(call.args, fill), replaced(call.kwargs, fill)
        if call.op._schema.is_mutable:
            # the first argument is what an operator in place writes on
            args = (args[0].clone(), *args[1:])
        return replaced(call.op(*args, **kwargs), self._wide)

    def _wide(self, given: Any) -> Any:
        if isinstance(given, Tensor) and given.is_floating_point() and given.dtype != self.dtype:
            return given.to(self.dtype)
        return given


class Constant:
    """A constant tensor; ``value`` is computed when it is asked for."""

    def __init__(self, store: Constants, make: Callable[[], Tensor]) -> None:
        self._store, self._make = store, make

    @property
    def value(self) -> Tensor:
        found: Tensor = self._store.kept(self, self._make)
        return found

    def then(self, make: Callable[[Tensor], Tensor]) -> "Constant":
        """A function of this constant."""
        return self._store.made(make, self)
