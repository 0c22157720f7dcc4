"""Values in which some numbers are −inf, as the masks of attention make them.

The places are kept beside the value, whose numbers there are finite ones that nothing depends on. Softmax gives 0 there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from inradius_bounds.capture.graph import replaced
from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import ARITHMETIC
from inradius_bounds.lowering.operators.moves import MOVES
from inradius_bounds.lowering.operators.norms import safe_softmax, softmax
from inradius_bounds.lowering.operators.products import matmul


def rewritten(build: Builder, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Node | None:
    """The result of an operator that makes or meets numbers that are −inf; None where it meets none.

    Raises ``UnsupportedError`` for an operator that is not among those that lead from a mask to a softmax.
    """
    given: list[Any] = []
    # values may stand in lists, as those that are joined
    replaced((args, kwargs), given.append)
    met = any(isinstance(each, Node) and each.hidden is not None for each in given)
    if not met and not (name in _MAKES and any(_is_mask(build, each) for each in given)):
        return None
    rewrite = _REWRITES.get(name)
    if rewrite is None:
        raise build.refuse(f"{name} of numbers that may be -inf; allowed are masks of -inf before a softmax")
    return rewrite(build, *args, **kwargs)


def _is_mask(build: Builder, part: Any) -> bool:
    """True if a constant has a number that is −inf."""
    if isinstance(part, float):
        return part == -torch.inf
    if not isinstance(part, ConstantTensor) or not part.value.is_floating_point():
        return False
    if not bool((part.value == -torch.inf).any()):
        return False
    build.fixed(part)
    return True


def _split(build: Builder, part: Any) -> tuple[Any, Tensor]:
    """A value or a constant with finite numbers in place of −inf, and the places."""
    if isinstance(part, Node):
        nowhere = torch.zeros(part.shape, dtype=torch.bool, device=build.device)
        if part.hidden is None:
            return part, nowhere
        return Node(part.shape, where=part.where, same=part.root), part.hidden
    constant = build.constant(part)
    return constant.then(lambda value: value.masked_fill(value == -torch.inf, 0)), constant.value == -torch.inf


def _hiding(found: Node, hidden: Tensor) -> Node:
    """The value, with the places of −inf."""
    return Node(found.shape, where=found.where, same=found.root, hidden=hidden.expand(found.shape))


def add(build: Builder, first: Any, second: Any, *, alpha: float = 1.0) -> Node:
    """first + alpha · second, −inf where one of them is."""
    if alpha <= 0:
        raise build.refuse(f"numbers that may be -inf times {alpha}; allowed are positive numbers")
    (one, hidden), (other, masked) = _split(build, first), _split(build, second)
    return _hiding(build.add(one, other, float(alpha)), hidden | masked)


def add_product(build: Builder, bias: Any, first: Any, second: Any, *, beta: float = 1, alpha: float = 1) -> Node:
    """beta · bias + alpha · first · second, −inf where the bias is."""
    return add(build, build.scale(matmul(build, first, second), float(alpha)), bias, alpha=beta)


def _scaled(name: str) -> Callable[..., Node]:
    """The rewriting of a product with, or a quotient by, positive constants."""

    def rewrite(build: Builder, first: Any, second: Any) -> Node:
        value, factor = (first, second) if isinstance(first, Node) else (second, first)
        if isinstance(factor, Node) or not bool((build.constant(factor).value > 0).all()):
            raise build.refuse(f"{name} of numbers that may be -inf; allowed are positive constants beside them")
        if isinstance(factor, ConstantTensor):
            build.fixed(factor)
        finite, hidden = _split(build, value)
        return _hiding(ARITHMETIC[name](build, finite, factor), hidden)

    return rewrite


def where(build: Builder, condition: Any, first: Any, second: Any) -> Node:
    """One of two values, number by number, by a constant condition."""
    (one, hidden), (other, masked) = _split(build, first), _split(build, second)
    found: Node = MOVES["where"](build, condition, one, other)
    return _hiding(found, torch.where(build.fixed(condition), hidden, masked))


def masked_fill(build: Builder, value: Node, mask: Any, number: Any) -> Node:
    """The value with a number where a constant mask is set."""
    return where(build, mask, number, value)


def _moved(name: str) -> Callable[..., Node]:
    """The rewriting of an operator that moves numbers, which moves the places as well."""

    def rewrite(build: Builder, value: Node, *args: Any) -> Node:
        finite, hidden = _split(build, value)
        found: Node = MOVES[name](build, finite, *args)
        return _hiding(found, getattr(torch.ops.aten, name)(hidden, *args))

    return rewrite


def same(build: Builder, value: Node, *args: Any, **kwargs: Any) -> Node:
    """The value, unchanged."""
    return value


_MAKES = {"add", "baddbmm", "where", "masked_fill"}
_REWRITES: dict[str, Callable[..., Node]] = {
    "add": add,
    "baddbmm": add_product,
    "mul": _scaled("mul"),
    "div": _scaled("div"),
    "where": where,
    "masked_fill": masked_fill,
    **{
        name: _moved(name)
        for name in ("view", "expand", "unsqueeze", "squeeze", "transpose", "permute", "slice", "select")
    },
    **dict.fromkeys(("clone", "alias", "detach", "contiguous", "_to_copy"), same),
    **dict.fromkeys(("_softmax", "softmax"), softmax),
    "_safe_softmax": safe_softmax,
}
