"""The rewriting of a recorded graph as affine steps and curves, call by call."""

import copy
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius import LayerRule, Operator, UnsupportedError
from inradius_bounds.capture.graph import Graph, ModuleOperator, OperatorCall, Value, replaced, values_in
from inradius_bounds.lowering import infinite
from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.constants import ConstantStore
from inradius_bounds.lowering.executed import executed
from inradius_bounds.lowering.node import Node, stored
from inradius_bounds.lowering.operators import REWRITES
from inradius_bounds.lowering.read_tensors import ReadTensors
from inradius_bounds.rules.functions import RoundingLayer


@attrs.frozen(eq=False)
class Lowered:
    """The nodes from the input to the result, whose constants are read from ``constants``."""

    entry: Node
    result: Node
    constants: ConstantStore
    device: torch.device
    # true where modules with a rule of their own are copies with converted tensors, whose numbers do not follow the model
    converted: bool
    nodes: dict[Value, Node]
    # true where products of two values were made of squares
    squared: bool = False
    # true where maxima over windows were made by pairs that may be one node
    paired: bool = False


def lower(
    graph: Graph,
    rules: Mapping[type[nn.Module], LayerRule],
    dtype: torch.dtype,
    device: torch.device,
    *,
    exact: bool = True,
    products: bool = False,
    maxima: bool = False,
    read: ReadTensors | None = None,
) -> Lowered:
    """The graph as steps and curves, to be computed in ``dtype``. Without ``exact`` constants are rounded as in the model.

    ``read`` holds the model's tensors that several forms of a graph read.

    With ``products`` a product of two values is one node; without, it is made of squares, as chains of layers need it. With
    ``maxima`` so are maxima over windows, which are made by pairs without.

    Raises ``UnsupportedError`` for an operator without a rewriting, with its name and its place in the user's code.
    """
    constants = ConstantStore(dtype, exact=exact, native=graph.entry.dtype, read=read)
    build = Builder(rules, constants, device, products=products, maxima=maxima)
    entry = Node(graph.entry.shape)
    made: dict[Value, Any] = {graph.entry: entry}
    with torch.no_grad():
        for call in _needed(graph):
            build.where = call.where or "the model"
            build.executed = executed(call, graph.entry.dtype)
            results = _rewritten(build, call, made)
            made |= {value: result for value, result in zip(call.results, results, strict=False) if value is not None}
        found = made[graph.result]
    if found.shape != graph.result.shape:
        raise UnsupportedError(
            f"{build.where} gives the shape {tuple(graph.result.shape)}, its bounds {tuple(found.shape)}"
        )
    if found.hidden is not None:
        raise UnsupportedError(f"{build.where} gives outputs that are -inf; allowed are finite outputs")
    constants.forget()
    converted = any(
        isinstance(call.op, ModuleOperator) and _of_other_type(call.op.module, dtype) for call in graph.calls
    )
    nodes = {value: node for value, node in made.items() if isinstance(node, Node)}
    return Lowered(entry, found, constants, device, converted, nodes, build.squared, build.paired)


def _needed(graph: Graph) -> list[OperatorCall]:
    """The calls that the result is made of and that depend on the input, in order."""
    wanted: set[Value] = {graph.result}
    found = []
    for call in reversed(graph.calls):
        if call.varies and any(value in wanted for value in call.results):
            found.append(call)
            wanted.update(values_in((call.args, call.kwargs)))
    return found[::-1]


def _rewritten(build: Builder, call: OperatorCall, made: Mapping[Value, Any]) -> list[Any]:
    """The nodes of a call's results."""

    types = [value.dtype for value in call.results if value is not None]
    if any(dtype.is_complex for dtype in types):
        raise build.refuse(f"{call.name} with complex numbers, which no layer rule covers")

    def part(given: Any) -> Any:
        if not isinstance(given, Value):
            return given
        if not given.varies:
            constant = build.constants.of(given)
            whole = not given.dtype.is_floating_point and given.dtype != torch.bool
            # torch rounds whole numbers to the type of the values beside them
            return build.constants.converted(constant, types[0]) if whole and call.name in _BESIDE else constant
        found = made.get(given)
        if found is None:
            raise build.refuse(
                f"a result of {call.name} that no layer rule covers, such as the places of largest numbers"
            )
        return found

    args, kwargs = replaced(call.args, part), replaced(call.kwargs, part)
    if isinstance(call.op, ModuleOperator):
        return [_kept(build, call.op, args[0], call.results[0])]
    rewrite = REWRITES.get(call.name)
    if rewrite is None:
        raise build.refuse(
            f"{call.name} ({call.op}), which no layer rule covers; a plugin can bound a module that uses it through the hook "
            "layer_rules"
        )
    if call.name == "_to_copy" and not _shortens(call):
        kwargs = {}
    if call.name in _STORING and call.results[0] is not None:
        args, kwargs = _stored((args, kwargs), call, call.results[0].dtype)
    results = infinite.rewritten(build, call.name, args, kwargs) or rewrite(build, *args, **kwargs)
    results = results if isinstance(results, list) else [results]
    if any(isinstance(result, Node) and not result.shape.numel() for result in results):
        raise build.refuse(f"{call.name} with a result that has no numbers, which no layer rule covers")
    return [_rounded(build, call, value, result) for value, result in zip(call.results, results, strict=False)]


# operators that store plain numbers among values, in the values' type
_STORING = {
    "masked_fill",
    "pow",
    "constant_pad_nd",
    "where",
    "clamp",
    "clamp_min",
    "clamp_max",
    "hardtanh",
    "maximum",
    "minimum",
}


# operators that take whole numbers beside values
_BESIDE = {
    *("add", "sub", "rsub", "mul", "div", "lerp", "addcmul", "addcdiv", "cat", "stack", "where", "masked_fill"),
    *("clamp", "clamp_min", "clamp_max", "maximum", "minimum"),
}


def _stored(given: tuple[Any, Any], call: OperatorCall, dtype: torch.dtype) -> tuple[Any, Any]:
    """Arguments with plain numbers rounded to a floating-point type, in which the operator stores them."""
    # exponents are not stored, and whole numbers in lists are sizes
    kinds = float if call.name == "pow" else (int, float)

    def stored(each: Any) -> Any:
        plain = isinstance(each, kinds) and not isinstance(each, bool) and dtype.is_floating_point
        return float(torch.tensor(each, dtype=dtype)) if plain else each

    args, kwargs = given
    return tuple(map(stored, args)), {name: stored(each) for name, each in kwargs.items()}


def _rounded(build: Builder, call: OperatorCall, value: Value | None, result: Any) -> Any:
    """A result, rounded where the operator stores it in a shorter type than that of its arguments."""
    if value is None or not isinstance(result, Node) or call.name == "_to_copy" or not value.dtype.is_floating_point:
        return result
    given = [each.dtype for each in values_in((call.args, call.kwargs)) if each.varies and each.dtype.is_floating_point]
    bits = torch.finfo(value.dtype).bits
    shorter = any(torch.finfo(dtype).bits > bits for dtype in given)
    return build.curve(result, RoundingLayer(value.dtype)) if shorter else result


def _shortens(call: OperatorCall) -> bool:
    """True if a conversion goes to another kind of numbers, or to no more bits than the value has."""
    target = call.kwargs.get("dtype")
    if target is None or target == call.args[0].dtype:
        return False
    return not target.is_floating_point or torch.finfo(target).bits <= torch.finfo(call.args[0].dtype).bits


def _kept(build: Builder, layer: ModuleOperator, source: Node, value: Value | None) -> Node:
    """A module with a rule of its own, as one layer."""
    assert value is not None
    if source.shape[0] != 1 or len(source.shape) < 2:
        raise build.refuse(
            f"{layer.path}, a {layer}, on a value of shape {tuple(source.shape)} for one example; allowed are batches"
        )
    module = _widened(layer.module, build.constants.dtype)
    operator = Operator(layer.path, module, layer.rule, source.stored, stored(value.shape), type(layer.module).forward)
    return Node(value.shape, (source.root,), operator, where=layer.path)


def _widened(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module itself, or a copy with converted tensors where its tensors have another floating-point type."""
    if not _of_other_type(module, dtype):
        return module
    view = copy.copy(module)
    state = vars(view)
    for name, value in list(state.items()):
        if isinstance(value, Tensor):
            state[name] = _in(value, dtype)
    state["_parameters"] = {name: _in(value, dtype) for name, value in module._parameters.items()}
    state["_buffers"] = {name: _in(value, dtype) for name, value in module._buffers.items()}
    state["_modules"] = {
        name: None if child is None else _widened(child, dtype) for name, child in module._modules.items()
    }
    return view


def _of_other_type(module: nn.Module, dtype: torch.dtype) -> bool:
    return any(value.is_floating_point() and value.dtype != dtype for value in _all_tensors(module))


def _all_tensors(module: nn.Module) -> list[Tensor]:
    plain = [value for each in module.modules() for value in vars(each).values() if isinstance(value, Tensor)]
    return [*module.parameters(), *module.buffers(), *plain]


def _in(value: Tensor | None, dtype: torch.dtype) -> Any:
    return value if value is None or not value.is_floating_point() else value.detach().to(dtype)
