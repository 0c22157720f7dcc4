"""Shapes that several families of operators need: broadcasting beside an axis of examples, and axes that are taken apart."""

from collections.abc import Callable

from torch import Tensor

from inradius.models.onnx.call import Apply, Call


def broadcast(call: Call, function: Callable[..., Tensor]) -> Apply:
    """The function on tensors whose axes are aligned as the file aligns them, at the last one."""
    given = [operand for operand in call.operands if operand is not None]
    rank = max(operand.rank for operand in given)
    if not call.outside or all(operand.rank == rank for operand in given if operand.batch is not None):
        return function
    missing = [0 if operand.batch is None else rank - operand.rank for operand in given]
    return lambda *tensors: function(*(_behind_first(t, n) for t, n in zip(tensors, missing, strict=True)))


def _behind_first(x: Tensor, count: int) -> Tensor:
    """The tensor with axes of length 1 behind its first one."""
    for _ in range(count):
        x = x.unsqueeze(1)
    return x


def unflattened(x: Tensor, axis: int, lengths: tuple[int, ...]) -> Tensor:
    """The tensor with an axis taken apart into several."""
    found: Tensor = x.unflatten(axis, lengths)  # type: ignore[no-untyped-call]  # torch's own
    return found
