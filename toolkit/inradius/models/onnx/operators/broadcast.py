"""Shapes that several families of operators need: broadcasting along the examples, and axes that are taken apart."""

from collections.abc import Callable
from functools import wraps

from torch import Tensor

from inradius.models.onnx.call import Apply, Call, Operand
from inradius.models.onnx.known import spread


def broadcast(call: Call, function: Callable[..., Tensor]) -> Apply:
    """The function on tensors whose axes are aligned as the file aligns them, at the last one."""
    given = [operand for operand in call.operands if operand is not None]
    if not call.outside:
        return _with_repeated(call, given, function)
    rank = max(operand.rank for operand in given)
    if all(operand.rank == rank for operand in given if operand.batch is not None):
        return function
    missing = [0 if operand.batch is None else rank - operand.rank for operand in given]
    return lambda *tensors: function(*(_behind_first(t, n) for t, n in zip(tensors, missing, strict=True)))


def _with_repeated(call: Call, given: list[Operand], function: Callable[..., Tensor]) -> Apply:
    """The function, where constants for all parts of an axis that holds the examples are repeated for each example."""
    like = next((operand for operand in given if operand.batch is not None and operand.shape[operand.batch] > 1), None)
    if like is None or like.batch is None:
        return function
    place, length, major = like.batch - like.rank, like.shape[like.batch], like.major
    chosen = [operand.batch is None and operand.rank >= -place and operand.shape[place] == length for operand in given]
    if not any(chosen):
        return function
    axes = [operand.rank + place if of_all else None for operand, of_all in zip(given, chosen, strict=True)]
    # the network's input comes last, which says how many examples there are
    call.anchored = True
    return lambda *tensors: function(
        *(
            t if axis is None else spread(t, axis, major, tensors[-1].shape[0])
            for t, axis in zip(tensors[:-1], axes, strict=True)
        )
    )


def _behind_first(x: Tensor, count: int) -> Tensor:
    """The tensor with axes of length 1 behind its first one."""
    for _ in range(count):
        x = x.unsqueeze(1)
    return x


def on_images(lower: Callable[[Call], Apply]) -> Callable[[Call], Apply]:
    """An operator on images, which takes those of one example as examples where the examples have an axis of their own."""

    @wraps(lower)
    def lowered(call: Call) -> Apply:
        apply, x = lower(call), call.operand(0)
        if not call.outside or x.batch is None:
            return apply
        count = x.shape[0]
        return lambda x, *rest: unflattened(apply(x.flatten(0, 1), *rest), 0, (-1, count))

    return lowered


def unflattened(x: Tensor, axis: int, lengths: tuple[int, ...]) -> Tensor:
    """The tensor with an axis taken apart into several."""
    found: Tensor = x.unflatten(axis, lengths)  # type: ignore[no-untyped-call]  # torch's own
    return found
