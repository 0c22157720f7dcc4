"""The comparison of two recordings: they are the same computation, or there is a first difference."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.graph import Graph, ModuleOperator, OperatorCall, Value

# operators that move numbers or leave them unchanged; the layout of memory may decide which of them run
MOVES = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "clone", "contiguous", "detach", "alias", "expand", "permute",
    "transpose", "t", "squeeze", "unsqueeze", "lift_fresh", "select", "slice", "copy", "empty", "empty_strided", "as_strided",
}  # fmt: skip
# operators whose results are numbers of their arguments, or plain numbers
EXACT = MOVES | {
    "zeros", "ones", "full", "eye", "arange", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full",
    "fill", "zero", "masked_fill", "index_fill", "triu", "tril", "where", "cat", "stack", "repeat", "flip", "roll",
    "empty_like", "new_empty", "eq", "ne", "lt", "le", "gt", "ge", "logical_not", "logical_and", "logical_or", "bitwise_not",
    "index", "index_put", "one_hot", "scatter",
}  # fmt: skip
# the operator that computes a product of matrices may depend on their sizes; some add a constant in the same step
_PRODUCTS = {"mm", "bmm", "mv", "dot", "matmul", "linear", "addmm", "baddbmm", "addmv"}
_SUMS = {"linear", "addmm", "baddbmm", "addmv"}
# whole numbers of so many bytes
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class GraphMatch:
    """The values of one graph paired with those of another, call by call."""

    def __init__(self, first: Graph, second: Graph) -> None:
        self._graphs = first, second
        self._pairs: dict[Value, Value] = {first.entry: second.entry}

    def difference(self) -> OperatorCall | None:
        """The first call of the first graph that differs from the second graph's call in its place; None where none differs."""
        first, second = self._graphs
        for call, other in zip(first.calls, second.calls, strict=False):
            if not self._same_call(call, other):
                return call
        if len(first.calls) != len(second.calls):
            longer = max(first.calls, second.calls, key=len)
            return longer[min(len(first.calls), len(second.calls))]
        return None if self._same(first.result, second.result) else first.calls[-1]

    def _same_call(self, call: OperatorCall, other: OperatorCall) -> bool:
        if not _same_operator(call, other) or len(call.results) != len(other.results):
            return False
        if not self._same((call.args, call.kwargs), (other.args, other.kwargs)):
            return False
        for mine, its in zip(call.results, other.results, strict=True):
            if mine is not None and its is not None:
                if not _same_form(mine, its):
                    return False
                self._pairs[mine] = its
        return True

    def _same(self, mine: Any, its: Any) -> bool:
        if isinstance(mine, Value):
            return isinstance(its, Value) and self._same_value(mine, its)
        if isinstance(mine, tuple | list):
            return type(mine) is type(its) and len(mine) == len(its) and all(map(self._same, mine, its))
        if isinstance(mine, dict):
            return (
                isinstance(its, dict) and mine.keys() == its.keys() and all(self._same(mine[k], its[k]) for k in mine)
            )
        return same_number(mine, its)

    def _same_value(self, mine: Value, its: Value) -> bool:
        if not _same_form(mine, its):
            return False
        if mine.leaf is not None:
            return its.leaf is not None and same_leaf(mine.leaf, its.leaf)
        return self._pairs.get(mine) is its


def _same_form(mine: Value, its: Value) -> bool:
    return mine.shape == its.shape and mine.dtype == its.dtype


def same_number(mine: Any, its: Any) -> bool:
    """True if two plain arguments are the same. NaN equals NaN, and 0 is not −0, of which 1 / 0 and atan2 differ."""
    if isinstance(mine, complex) and isinstance(its, complex):
        return same_number(mine.real, its.real) and same_number(mine.imag, its.imag)
    if isinstance(mine, float) and isinstance(its, float):
        return math.isnan(its) if math.isnan(mine) else mine == its and math.copysign(1, mine) == math.copysign(1, its)
    if isinstance(mine, torch.ScriptObject):
        # packed weights of quantised operators, which have no bounds
        return type(mine) is type(its)
    return type(mine) is type(its) and bool(mine == its)


def same_leaf(mine: Tensor, its: Tensor) -> bool:
    """True if two constants are one object, or hold the same bits."""
    return mine is its or same_bits(mine, its)


def same_bits(mine: Tensor, its: Tensor) -> bool:
    """True if two tensors have one type, shape and device, and the same bits: NaN equals itself, and 0 is not −0."""
    if not same_kind(mine, its):
        return False
    return torch.equal(mine, its) if mine.layout != torch.strided else torch.equal(bits(mine), bits(its))


def same_kind(mine: Tensor, its: Tensor) -> bool:
    """True if two tensors have one type, shape, device and layout."""
    alike = mine.dtype == its.dtype and mine.shape == its.shape
    return alike and mine.device == its.device and mine.layout == its.layout


def bits(tensor: Tensor) -> Tensor:
    """The numbers of a strided tensor as whole numbers of the same size; those of a complex one have two each."""
    plain = tensor.detach()
    if plain.is_complex() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
        plain = torch.view_as_real(plain) if plain.is_complex() else plain
    return plain.view(_BITS[plain.element_size()]) if plain.is_floating_point() else plain


def _same_operator(call: OperatorCall, other: OperatorCall) -> bool:
    if isinstance(call.op, ModuleOperator) and isinstance(other.op, ModuleOperator):
        return call.op.module is other.op.module and call.op.rule is other.op.rule
    return call.op is other.op


def depends_on_size(single: Graph, batch: Graph, examples: int) -> OperatorCall | None:
    """The first call in which the graphs of one example and of a batch differ, other than in sizes that grow with the batch."""
    steps, others = list(_computing(single)), list(_computing(batch))
    for (kind, call), (its, other) in zip(steps, others, strict=False):
        if kind != its or not _scaled(call, other, examples):
            return other
    if len(steps) != len(others):
        longer = max(steps, others, key=len)
        return longer[min(len(steps), len(others))][1]
    return None


def _computing(graph: Graph) -> Iterator[tuple[str, OperatorCall]]:
    """The kind of each call that computes, and the call. A product with a sum counts as both."""
    for call in graph.calls:
        if call.name in _PRODUCTS:
            yield "product", call
            if call.name in _SUMS and not (call.name == "linear" and len(call.args) < 3):
                yield "add", call
        elif call.name not in MOVES:
            yield call.name, call


def _scaled(call: OperatorCall, other: OperatorCall, examples: int) -> bool:
    """True if two calls of one operator have the same plain arguments, except for lengths that grow with the batch."""
    if isinstance(call.op, ModuleOperator) or isinstance(other.op, ModuleOperator):
        return _same_operator(call, other)
    if call.op is not other.op:
        return call.name in _PRODUCTS or other.name in _PRODUCTS
    for number, argument in enumerate(call.op._schema.arguments):
        mine, its = (
            each.args[number] if number < len(each.args) else each.kwargs.get(argument.name) for each in (call, other)
        )
        length = str(argument.type) in ("int", "SymInt", "List[int]", "List[SymInt]")
        if not _alike(mine, its, examples if length else 1):
            return False
    return True


def _alike(mine: Any, its: Any, examples: int) -> bool:
    if isinstance(mine, Value) or isinstance(its, Value):
        # new constants must hold the same numbers; all other values were compared where they were made
        fresh = [each.leaf for each in (mine, its) if isinstance(each, Value) and each.leaf is not None]
        return len(fresh) != 2 or same_leaf(*fresh)
    if isinstance(mine, tuple | list) and isinstance(its, tuple | list):
        return len(mine) == len(its) and all(_alike(a, b, examples) for a, b in zip(mine, its, strict=True))
    if isinstance(mine, int) and isinstance(its, int) and mine * examples == its:
        return True
    return same_number(mine, its)
