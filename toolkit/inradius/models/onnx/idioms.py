"""Functions that older operator sets have no operator for, found again in the operators that exporters write for them.

Bounds of one curve are tighter than those of its parts, so that a network from a file has the bounds that it had in torch.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.node import Node

# A pattern is "x", a tensor; "eps" or "cut", any number; "-cut", its negative; a number; or an operator with the patterns of its
# inputs.
Pattern = Any
Found = dict[str, Any]
_ORDERLESS = ("Add", "Mul")
_CLOSE = 1e-6

_CUBE = (("Mul", "x", ("Mul", "x", "x")), ("Pow", "x", 3.0))
_TANH = [("Add", ("Tanh", ("Mul", 0.7978845608, ("Add", "x", ("Mul", 0.044715, cube)))), 1.0) for cube in _CUBE]
_SCALED = (("Div", "x", 1.4142135624), ("Mul", "x", 0.7071067812))
_CENTRED = ("Sub", "x", ("ReduceMean", "x"))
_SQUARES = (("Pow", _CENTRED, 2.0), ("Mul", _CENTRED, _CENTRED))
_ABOVE = ("Where", ("Greater", "x", "cut"), ("Sub", "x", "cut"), 0.0)
_BELOW = ("Where", ("Less", "x", "-cut"), ("Add", "x", "cut"), 0.0)


def _halved(one: Pattern) -> list[Pattern]:
    """x times a factor times a half, in each order."""
    return [("Mul", ("Mul", "x", one), 0.5), ("Mul", ("Mul", "x", 0.5), one), ("Mul", "x", ("Mul", one, 0.5))]


# own operators, whose names no file may use, and their attributes beside what the pattern finds
_IDIOMS: list[tuple[Pattern, str, dict[str, Any]]] = [
    (("Mul", "x", ("Sigmoid", "x")), "SiLU", {}),
    (("Add", _ABOVE, _BELOW), "Softshrink", {}),
    (("Mul", "x", ("Tanh", ("Softplus", "x"))), "Mish", {}),
    *((p, "Gelu", {"approximate": "none"}) for s in _SCALED for p in _halved(("Add", ("Erf", s), 1.0))),
    *((p, "Gelu", {"approximate": "tanh"}) for one in _TANH for p in _halved(one)),
    *((("Div", _CENTRED, ("Sqrt", ("Add", ("ReduceMean", s), "eps"))), "Normalized", {}) for s in _SQUARES),
]


def with_idioms(nodes: Iterable[Node], stored: Mapping[str, Tensor]) -> list[Node]:
    """The nodes, where the last one of a known function is that function; the others stay, for those who take them."""
    nodes = list(nodes)
    reader = _Reader({name: node for node in nodes for name in node.outputs if name}, stored)
    return [reader.replaced(node) for node in nodes]


@attrs.frozen(eq=False)
class _Reader:
    """The nodes by the names that they make, and the constants of the file."""

    made: Mapping[str, Node]
    stored: Mapping[str, Tensor]

    def replaced(self, node: Node) -> Node:
        for pattern, op, attributes in _IDIOMS:
            found: Found = {}
            if pattern[0] == node.op and self._matches_node(pattern, node, found):
                values = attributes | {key: value for key, value in found.items() if key != "x"}
                return attrs.evolve(node, op=op, attributes=values, inputs=(found["x"],), own=True)
        return node

    def _matches(self, pattern: Pattern, name: str, found: Found) -> bool:
        """True where the value of this name fits the pattern; what it finds is kept."""
        if pattern == "x":
            return bool(found.setdefault("x", name) == name)
        if isinstance(pattern, tuple):
            node = self.made.get(name)
            return node is not None and node.op == pattern[0] and self._matches_node(pattern, node, found)
        number = self._number(name)
        if number is None or found.setdefault("dtype", number.dtype) != number.dtype:
            return False
        if isinstance(pattern, str) and pattern.startswith("-"):
            return bool(found.get(pattern[1:]) == -float(number))
        if isinstance(pattern, str):
            return bool(found.setdefault(pattern, float(number)) == float(number))
        return bool(abs(float(number) - pattern) <= _CLOSE * abs(pattern))

    def _matches_node(self, pattern: Pattern, node: Node, found: Found) -> bool:
        parts = pattern[1:]
        if len(parts) != len(node.inputs) or len(node.outputs) != 1 or not _is_plain(node):
            return False
        orders = [node.inputs, node.inputs[::-1]] if node.op in _ORDERLESS else [node.inputs]
        for names in orders:
            tried = dict(found)
            if all(self._matches(part, name, tried) for part, name in zip(parts, names, strict=True)):
                found.update(tried)
                return True
        return False

    def _number(self, name: str) -> Tensor | None:
        """The number that a constant with one number holds."""
        node = self.made.get(name)
        value: Any = self.stored.get(name)
        if node is not None and node.op == "Constant" and len(node.attributes) == 1:
            value = node.attributes.get("value")
        return value if isinstance(value, Tensor) and value.numel() == 1 and value.dim() <= 1 else None


def _is_plain(node: Node) -> bool:
    """True where a node has no attributes, or is a mean over the last axis."""
    if node.op != "ReduceMean":
        return not node.attributes
    return node.attributes.get("axes") == [-1] and node.attributes in ({"axes": [-1]}, {"axes": [-1], "keepdims": 1})


def _curve(function: Callable[..., Tensor], **options: Any) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        """A function of each number."""
        _check_type(call)
        return lambda x: function(x, **options)

    return lower


def _gelu(call: Call) -> Apply:
    """x Φ(x), or its approximation by tanh."""
    return _curve(F.gelu, approximate=call.attribute("approximate"))(call)


def _softshrink(call: Call) -> Apply:
    """x moved towards 0 by a number, 0 where it is nearer."""
    _check_type(call)
    cut = float(call.attribute("cut"))
    if cut < 0:
        call.refuse(f"moves numbers away from 0 by {-cut}")
    return lambda x: F.softshrink(x, cut)


def _normalized(call: Call) -> Apply:
    """The numbers of the last axis less their mean, by their deviation."""
    _check_type(call)
    if call.operand(0).rank < 1:
        call.refuse("normalises numbers without an axis")
    eps, length = float(call.attribute("eps")), call.operand(0).shape[-1:]
    return lambda x: F.layer_norm(x, length, None, None, eps)


def _check_type(call: Call) -> None:
    """Refuses constants of another type than the input's."""
    dtype = call.operand(0).dtype
    if not dtype.is_floating_point or call.attribute("dtype", dtype) != dtype:
        call.refuse("has inputs of different types; allowed is one floating-point type")


OWN: dict[str, Callable[[Call], Apply]] = {
    "SiLU": _curve(F.silu),
    "Mish": _curve(F.mish),
    "Gelu": _gelu,
    "Normalized": _normalized,
    "Softshrink": _softshrink,
}
