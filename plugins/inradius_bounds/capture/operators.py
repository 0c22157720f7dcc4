"""Facts about operators that decide how they are recorded."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.compare import EXACT
from inradius_bounds.capture.graph import OperatorCall, operator_name, values_in
from inradius_bounds.capture.traced_tensor import TracedTensor

# operators that take only a shape from a value
FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0, "full_like": None, "new_full": None}
_NORMS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"}
# operators that read a number from a tensor
READS = {"_local_scalar_dense", "is_nonzero", "equal", "item"}


def reason_against(func: Any, name: str, args: Any, varies: bool) -> str:
    """The reason why an operator cannot be recorded; empty where it can be."""
    if varies and name in READS:
        return "which reads a number from a value that depends on the input; allowed are computations that are the same every time"
    shaping, random, following = _facts(func)
    # places that are constants give a constant shape
    fixed = name == "index" and not any(isinstance(each, TracedTensor) for each in tensors(args[1]))
    if varies and shaping and not fixed:
        return (
            "whose result's shape depends on values of the input; allowed are computations that are the same every time"
        )
    if random:
        return "which is random; leave it out"
    if varies and not following:
        return "which changes a tensor in place in a way that is not followed; allowed are computations that make new values"
    # instance norm has its examples among the channels
    if name in _NORMS and bool(args[5]) and args[0].shape[0] != 1:
        return "with the statistics of the batch (training=True), which joins its examples; allowed are the running statistics"
    return ""


@cache
def _facts(func: Any) -> tuple[bool, bool, bool]:
    """Three facts: the shape of the result depends on numbers, the operator is random, and its writes on tensors are followed."""
    tags = func.tags
    shaping = torch.Tag.dynamic_output_shape in tags or torch.Tag.data_dependent_output in tags
    unfollowed = torch.Tag.inplace_view in tags or any(argument.is_out for argument in func._schema.arguments)
    return shaping, torch.Tag.nondeterministic_seeded in tags, not unfollowed


def filled(func: Any, args: Any, kwargs: Any, out: Tensor, where: str) -> OperatorCall:
    """The call that makes a constant without a value, where the operator takes only its shape from the value."""
    name = operator_name(func)
    number = {"full_like": lambda: args[1], "new_full": lambda: args[2]}.get(name, lambda: FILLED[name])()
    kept = {"dtype": out.dtype, "device": out.device}
    return OperatorCall(torch.ops.aten.full.default, (list(out.shape), number), kept, where)


def is_plain(call: OperatorCall) -> bool:
    """True if a call makes constants without rounding, from constants that are made so as well."""
    if call.name in FILLED:
        return True
    values = list(values_in((call.args, call.kwargs)))
    # every floating-point type holds whole numbers and truth values
    exact = call.name in EXACT or (call.name == "_to_copy" and not values[0].dtype.is_floating_point)
    return exact and all(value.plain and not value.varies for value in values)


def plain(given: Any) -> Any:
    return given.plain if isinstance(given, TracedTensor) else given


def tensors(given: Any) -> list[Tensor]:
    """The tensors among nested arguments."""
    found: list[Tensor] = []
    for each in given.values() if isinstance(given, dict) else given:
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, tuple | list | dict):
            found += tensors(each)
    return found


def written(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """The tensors that an operator writes on."""
    if not func._schema.is_mutable:
        return []
    found = []
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[number] if number < len(args) else kwargs.get(argument.name)
            found += tensors([given])
    return found
