"""A recorded computation: calls of operators on values."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius import LayerRule


@attrs.frozen(eq=False)
class ModuleOperator:
    """A module whose class has a layer rule of its own, and that stands in a computation as one operator."""

    module: nn.Module
    rule: LayerRule
    path: str

    def __str__(self) -> str:
        return type(self.module).__name__


# the kinds of arguments that hold others
_NESTED = (tuple, list, dict)

Op = torch._ops.OpOverload | ModuleOperator


@attrs.frozen(eq=False)
class Value:
    """A tensor of a computation: the input, a constant that exists without it (``leaf``), or a result of a call.

    varies: true where it depends on the input. shape, dtype: those that it had when it was recorded.
    """

    shape: torch.Size
    dtype: torch.dtype
    varies: bool
    leaf: Tensor | None = None
    call: "OperatorCall | None" = None
    place: int = 0
    # true for a constant that is made without rounding and without learned weights
    plain: bool = False

    @classmethod
    def of(cls, tensor: Tensor, *, varies: bool, **origin: Any) -> "Value":
        """The value of a tensor."""
        return cls(torch.Size(tensor.shape), tensor.dtype, varies, **origin)


@attrs.define(eq=False)
class OperatorCall:
    """A call of an operator on values. ``where`` names the place in the user's code that makes the call."""

    op: Op
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: str
    results: list[Value | None] = attrs.field(factory=list)
    # true where it stands for a part of a fused kernel, which rounds in another way
    substituted: bool = False

    @property
    def name(self) -> str:
        """The operator's name, without namespace and overload. An operator that works in place has the name of its other form."""
        return str(self.op) if isinstance(self.op, ModuleOperator) else operator_name(self.op)

    @property
    def varies(self) -> bool:
        return any(value.varies for value in values_in((self.args, self.kwargs)))


@attrs.frozen(eq=False)
class Graph:
    """The calls of a computation in order, its input and its result.

    volatile: true where a constant was changed in place, or where the course may depend on a number read from a constant. Then
    the graph cannot be kept when constants change.
    """

    entry: Value
    calls: list[OperatorCall]
    result: Value
    volatile: bool = False


@cache
def operator_name(op: torch._ops.OpOverload) -> str:
    """The operator's name without its overload, and without the underscore of an operator that works in place.

    Names of ATen's own operators have no namespace, and all others have one.
    """
    name: str = op.overloadpacket.__name__
    name = name.rstrip("_") if name.endswith("_") and not name.endswith("__") else name
    return name if op.namespace == "aten" else f"{op.namespace}::{name}"


def values_in(given: Any) -> Iterator[Value]:
    """The values among nested arguments."""
    if isinstance(given, Value):
        yield given
    elif isinstance(given, tuple | list):
        for each in given:
            yield from values_in(each)
    elif isinstance(given, dict):
        yield from values_in(tuple(given.values()))


def replaced(given: Any, replace: Callable[[Any], Any]) -> Any:
    """Nested arguments with every leaf replaced."""
    if isinstance(given, dict):
        return {name: replaced(each, replace) for name, each in given.items()}
    if not isinstance(given, list) and type(given) is not tuple:
        return replace(given)
    # most arguments are leaves, and a call for each would take as long as what is done to them
    found = [replaced(each, replace) if isinstance(each, _NESTED) else replace(each) for each in given]
    return found if isinstance(given, list) else tuple(found)
