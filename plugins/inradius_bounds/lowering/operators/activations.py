"""Activation functions made of others, and elementwise functions of torch."""

from collections.abc import Callable
from typing import Any

from torch import nn

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.least import least_of
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import multiply
from inradius_bounds.rules.activations.smooth import (
    ArctangentLayer,
    ErrorFunctionLayer,
    Expm1Layer,
    Log1pLayer,
    LogLayer,
)
from inradius_bounds.rules.activations.waves import CosineLayer, SineLayer


def _curve(layer: Callable[[], nn.Module]) -> Callable[..., Node]:
    """An operator that is a layer without parameters."""

    def rewrite(build: Builder, value: Node) -> Node:
        return build.curve(value, layer())

    return rewrite


def prelu(build: Builder, value: Node, weight: Part) -> Node:
    """w z + (1 − w) relu(z), for constant weights, which torch hands over in a shape that broadcasts."""
    if isinstance(weight, Node):
        raise build.refuse("prelu with weights that depend on the input, which no layer rule covers")
    own = build.constant(weight)
    above = build.scale(build.curve(value, nn.ReLU()), build.constants.made(lambda given: 1 - given, own))
    return build.add(build.scale(value, own), above)


def hardsigmoid(build: Builder, value: Node) -> Node:
    """(z + 3) / 6 between 0 and 1."""
    return build.scale(build.curve(build.add(value, build.constant(3.0)), nn.Hardtanh(0.0, 6.0)), 1 / 6)


def glu(build: Builder, value: Node, axis: int = -1) -> Node:
    """The first half of the value times the sigmoid of the second half."""
    half = value.shape[axis] // 2
    first = build.move(value, lambda places: places.narrow(axis, 0, half))
    second = build.move(value, lambda places: places.narrow(axis, half, half))
    return multiply(build, first, build.curve(second, nn.Sigmoid()))


def log_sigmoid(build: Builder, value: Node) -> list[Any]:
    """The logarithm of the sigmoid, and the buffer that torch keeps for gradients, which has no bounds."""
    return [build.curve(value, nn.LogSigmoid()), None]


def softshrink(build: Builder, value: Node, lambd: float = 0.5) -> Node:
    """The value, moved towards 0 by a number ≥ 0, and 0 within it."""
    return build.curve(value, nn.Softshrink(float(lambd)))


def logarithm(build: Builder, value: Node) -> Node:
    """log(z), where z > 0."""
    return build.curve(value, LogLayer(least_of(value, build.constants)))


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "_prelu_kernel": prelu,
    "prelu": prelu,
    "hardsigmoid": hardsigmoid,
    "hardswish": _curve(nn.Hardswish),
    "mish": _curve(nn.Mish),
    "glu": glu,
    "log_sigmoid_forward": log_sigmoid,
    "softshrink": softshrink,
    "sin": _curve(SineLayer),
    "cos": _curve(CosineLayer),
    "log": logarithm,
    "log1p": _curve(Log1pLayer),
    "expm1": _curve(Expm1Layer),
    "atan": _curve(ArctangentLayer),
    "erf": _curve(ErrorFunctionLayer),
}
