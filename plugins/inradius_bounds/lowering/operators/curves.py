"""Elementwise functions, and functions that are made of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.least import least_of
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import reciprocal, square
from inradius_bounds.lowering.operators.moves import where
from inradius_bounds.rules.activations.real_powers import PowerLayer
from inradius_bounds.rules.functions import ExpLayer, RoundingLayer, SquareRootLayer


def _layer(make: Callable[..., nn.Module]) -> Callable[..., Node]:
    """The rewriting of an operator that is a layer. Its further arguments are those of the layer."""

    def rewrite(build: Builder, value: Node, *args: Any, **kwargs: Any) -> Node:
        return build.curve(value, make(*args, **kwargs))

    return rewrite


def elu(build: Builder, value: Node, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Node:
    """scale · elu(value)."""
    if input_scale != 1:
        raise build.refuse(f"elu with input_scale={input_scale}, which no layer rule covers")
    return build.scale(build.curve(value, nn.ELU(alpha)), float(scale))


def clamp(build: Builder, value: Node, low: Any = None, high: Any = None) -> Node:
    """The value clamped between numbers, or between tensors."""
    if isinstance(low, Node | ConstantTensor) or isinstance(high, Node | ConstantTensor):
        # torch takes the upper end where the ends cross
        value = value if low is None else maximum(build, value, low)
        return value if high is None else minimum(build, value, high)
    ends = (-torch.inf if low is None else float(low), torch.inf if high is None else float(high))
    return build.curve(value, nn.Hardtanh(*ends)) if ends[0] < ends[1] else _fixed(build, value, ends[1])


def _fixed(build: Builder, value: Node, number: float) -> Node:
    """A number in the place of the value, which is the result of clamp where its ends cross."""
    return build.affine(value, build.constant(0.0), build.constant(number))


def maximum(build: Builder, first: Part, second: Part) -> Node:
    """b + relu(a − b)."""
    limited = _where_limited(build, maximum, (first, second), -torch.inf)
    if limited is not None:
        return limited
    found = build.add(second, build.curve(build.subtract(first, second), nn.ReLU()))
    return _extreme(torch.maximum, found, first, second)


def minimum(build: Builder, first: Part, second: Part) -> Node:
    """a − relu(a − b)."""
    limited = _where_limited(build, minimum, (first, second), torch.inf)
    if limited is not None:
        return limited
    found = build.subtract(first, build.curve(build.subtract(first, second), nn.ReLU()))
    return _extreme(torch.minimum, found, first, second)


def _where_limited(
    build: Builder, extreme: Callable[[Builder, Part, Part], Node], parts: tuple[Part, Part], infinite: float
) -> Node | None:
    """The extreme of a value and a constant, which is the value where the constant is infinite; None where it is so nowhere."""
    value, limit = parts if isinstance(parts[0], Node) else parts[::-1]
    if isinstance(limit, Node) or not bool((build.constant(limit).value == infinite).any()):
        return None
    limit = build.constant(limit)
    unlimited = limit.then(lambda numbers: numbers == infinite)
    finite = limit.then(lambda numbers: numbers.masked_fill(numbers == infinite, 0))
    return where(build, unlimited, value, extreme(build, value, finite))


def _extreme(function: Callable[[Tensor, Tensor], Tensor], found: Node, first: Part, second: Part) -> Node:
    """The node. It notes that it is the extreme of two values of one shape, so that its box is exact over theirs."""
    if not isinstance(first, Node) or not isinstance(second, Node) or first.root is second.root:
        return found
    if first.stored == second.stored == found.stored:
        found.root.extreme = function
    return found


def absolute(build: Builder, value: Node) -> Node:
    """relu(z) + relu(−z)."""
    above, below = (build.curve(build.scale(value, sign), nn.ReLU()) for sign in (1.0, -1.0))
    return build.add(above, below)


def root(build: Builder, value: Node) -> Node:
    """√z."""
    return build.curve(value, SquareRootLayer(least_of(value, build.constants)))


def reciprocal_root(build: Builder, value: Node) -> Node:
    """1 / √z."""
    return reciprocal(build, root(build, value))


_POWERS: dict[float, Callable[[Builder, Node], Node]] = {
    0.0: lambda build, value: _fixed(build, value, 1.0),
    1.0: lambda build, value: value,
    2.0: square,
    0.5: root,
    -1.0: reciprocal,
    -0.5: reciprocal_root,
}


def power(build: Builder, value: Part, exponent: Any) -> Node:
    """The value to the power of a number."""
    if not isinstance(value, Node) or not isinstance(exponent, int | float):
        raise build.refuse("pow with an exponent that is a tensor, which no layer rule covers; allowed are numbers")
    if float(exponent) in _POWERS:
        return _POWERS[float(exponent)](build, value)
    if exponent < 0 and float(exponent).is_integer():
        return reciprocal(build, power(build, value, -exponent))
    return build.curve(value, PowerLayer(exponent, least_of(value, build.constants)))


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def cast(build: Builder, value: Node, *, dtype: torch.dtype | None = None, **_: Any) -> Node:
    """The value in another type: unchanged in a wider type, rounded in a narrower one."""
    if dtype is None:
        return value
    if dtype not in _FLOATS:
        raise build.refuse(
            f"a conversion to {dtype}, which no layer rule covers; allowed are float16, bfloat16, float32 and float64"
        )
    return build.curve(value, RoundingLayer(dtype)) if torch.finfo(dtype).bits < 64 else value


CURVES: dict[str, Callable[..., Any]] = {
    "relu": _layer(nn.ReLU),
    "leaky_relu": _layer(nn.LeakyReLU),
    "hardtanh": lambda build, value, low=-1.0, high=1.0: clamp(build, value, low, high),
    "sigmoid": _layer(nn.Sigmoid),
    "tanh": _layer(nn.Tanh),
    "softplus": _layer(nn.Softplus),
    "gelu": _layer(nn.GELU),
    "silu": _layer(nn.SiLU),
    "celu": _layer(nn.CELU),
    "exp": _layer(ExpLayer),
    "elu": elu,
    "sqrt": root,
    "rsqrt": reciprocal_root,
    "abs": absolute,
    "clamp": clamp,
    "clamp_min": lambda build, value, low: clamp(build, value, low, None),
    "clamp_max": lambda build, value, high: clamp(build, value, None, high),
    "maximum": maximum,
    "minimum": minimum,
    "pow": power,
    "_to_copy": cast,
}
