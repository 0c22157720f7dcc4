"""Comparisons, choices, types and constants."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import broadcast
from inradius.models.onnx.tensors import dtype_of


def _of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return broadcast(call, function)

    return lower


def _plain(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return function

    return lower


def _where(call: Call) -> Apply:
    """The numbers of one tensor where a condition holds, else those of another."""
    return broadcast(call, torch.where)


def _cast(call: Call) -> Apply:
    """The numbers in another type; the type of the file's input is that which the network is used in."""
    return _to(call, dtype_of(int(call.attribute("to", 0)), str(call.node)))


def _cast_like(call: Call) -> Apply:
    """The numbers in the type of another tensor."""
    to = call.operand(1).dtype
    call.used.add(1)
    return _to(call, to)


def _to(call: Call, dtype: torch.dtype) -> Apply:
    if dtype == call.operand(0).dtype:
        return lambda x, *_: x
    if dtype == torch.bool:
        return lambda x, *_: x != 0
    if dtype == call.input_dtype and call.operand(0).batch is not None:
        # after double() or half() as well
        call.anchored = True
        return lambda x, *rest: x.to(rest[-1].dtype)
    return lambda x, *_: x.to(dtype)


def _constant(call: Call) -> Apply:
    """A tensor that the node holds."""
    given = call.node.attributes
    if len(given) != 1:
        call.refuse(f"holds {len(given)} values; allowed is one")
    ((name, value),) = given.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        call.refuse(f"holds {name}; allowed are numbers")
    if isinstance(value, Tensor):
        return lambda: value
    kind: Any = torch.float32 if "float" in name else torch.int64
    return lambda: torch.tensor(value, dtype=kind)


def _dropout(call: Call) -> Apply:
    """The input itself, as networks are read for use and not for training."""
    if call.has(2) and call.number(2):
        call.refuse("drops numbers at random as in training")
    call.used.update(range(1, len(call.operands)))
    return lambda x, *_: x


def _is_inf(call: Call) -> Apply:
    """True where a number is infinite, of either sign or of one."""
    low, high = call.attribute("detect_negative", 1), call.attribute("detect_positive", 1)
    inf = float("inf")
    return lambda x: ((x == inf) & bool(high)) | ((x == -inf) & bool(low))


LOGIC: dict[str, Callable[[Call], Apply]] = {
    "Equal": _of_two(torch.eq),
    "Greater": _of_two(torch.gt),
    "GreaterOrEqual": _of_two(torch.ge),
    "Less": _of_two(torch.lt),
    "LessOrEqual": _of_two(torch.le),
    "And": _of_two(torch.logical_and),
    "Or": _of_two(torch.logical_or),
    "Xor": _of_two(torch.logical_xor),
    "Not": _plain(torch.logical_not),
    "IsNaN": _plain(torch.isnan),
    "IsInf": _is_inf,
    "Where": _where,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Constant": _constant,
    "Dropout": _dropout,
}
