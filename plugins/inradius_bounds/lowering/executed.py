"""The recorded operators that round as the steps that stand for them, or less. The claim ``float`` rests on this list."""

from typing import Any

import torch

from inradius_bounds.capture.compare import MOVES
from inradius_bounds.capture.graph import ModuleOperator, OperatorCall, Value, values_in

# Each result is one sum of rounded products, or an elementary function. Several steps may stand for an operator. If all of them
# but the last are exact, and the last rounds no less than the operator, then the operator's execution is one of theirs.
_KNOWN = {
    "add", "sub", "rsub", "neg", "mul", "div", "square", "reciprocal", "mm", "bmm", "matmul", "mv", "dot", "addmm", "baddbmm",
    "linear", "convolution", "relu", "leaky_relu", "hardtanh", "clamp", "clamp_min", "clamp_max", "sigmoid", "tanh", "softplus",
    "exp", "sqrt", "rsqrt", "pow", "abs", "maximum", "minimum", "sum", "mean", "avg_pool2d", "_adaptive_avg_pool2d",
    "max_pool2d_with_indices", "max_pool2d", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "amax", "amin", "max", "min", "native_batch_norm", "_native_batch_norm_legit_no_training",
    "constant_pad_nd", "masked_fill", "where", "cat", "stack", "split", "split_with_sizes", "unbind", "chunk", "index",
    "index_select", "narrow", "flip", "roll", "repeat", "unfold", "im2col", "pixel_shuffle", "pixel_unshuffle", "diagonal",
}  # fmt: skip


def of_level_float(name: str) -> bool:
    """True if an operator's own execution may be among those of its steps, so that bounds of level ``float`` pass it."""
    return name in MOVES or name in _KNOWN


def executed(call: OperatorCall, dtype: torch.dtype) -> bool:
    """True if a call's own execution in a type is among those of its steps."""
    if isinstance(call.op, ModuleOperator) or not of_level_float(call.name):
        return False
    # the statistics of a value are not computed as sums are
    if call.substituted or (call.name == "native_batch_norm" and call.args[5]):
        return False
    if any(_is_subnormal(number, dtype) for number in (*call.args, *call.kwargs.values())):
        return False
    given = values_in((call.args, call.kwargs))
    # the places of maxima are whole numbers, and an operator that uses them is not of this level
    results = [value for value in call.results if value is not None and value.varies and value.dtype.is_floating_point]
    own = all(value.dtype == dtype for value in (*given, *results) if value.varies)
    return own and all(_stored(value, dtype) for value in given if not value.varies)


def _is_subnormal(number: Any, dtype: torch.dtype) -> bool:
    """True for a plain number that a machine may take for 0 when it is stored in a type."""
    return isinstance(number, float) and 0 < abs(number) < torch.finfo(dtype).smallest_normal


def _stored(value: Value, dtype: torch.dtype) -> bool:
    """True if a constant is a tensor of the model, or its numbers in other places, so that no run computes it."""
    if value.leaf is not None:
        return not value.dtype.is_floating_point or value.dtype == dtype
    call = value.call
    return (
        call is not None
        and call.name in MOVES
        and all(_stored(each, dtype) for each in values_in((call.args, call.kwargs)))
    )
