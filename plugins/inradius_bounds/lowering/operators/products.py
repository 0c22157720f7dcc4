"""Products of matrices, and convolutions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from inradius_bounds.lowering.builder import Builder, Part
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import multiply
from inradius_bounds.steps.convolution import AnyConvolutionRule, ConvolutionStep


def matmul(build: Builder, first: Part, second: Part) -> Node:
    """A product of (stacks of) matrices. For two varying values it is a sum of products of numbers."""
    if isinstance(first, Node) and isinstance(second, ConstantTensor):
        if second.value.ndim == 2:
            return build.linear(first, second.then(torch.t), None)
        return build.product(first, second)
    if isinstance(second, Node) and isinstance(first, ConstantTensor):
        return build.product(second, first, left=True)
    assert isinstance(first, Node)
    assert isinstance(second, Node)
    if build.products:
        return build.bilinear(first, second, matrices=True)
    left = build.move(first, lambda places: places.unsqueeze(-1))
    right = build.move(second, lambda places: places.unsqueeze(-3))
    found = multiply(build, left, right)
    return build.sum(found, (len(found.shape) - 2,), keepdim=False)


def matrix_times_vector(build: Builder, first: Part, second: Part) -> Node:
    """(n, m) times (m,)."""
    return _column(build, matmul(build, first, _turned(build, second)))


def dot(build: Builder, first: Part, second: Part) -> Node:
    """(m,) times (m,)."""
    row = (
        build.move(first, lambda p: p[None])
        if isinstance(first, Node)
        else build.constant(first).then(lambda v: v[None])
    )
    found = matmul(build, row, _turned(build, second))
    return build.reshape(found, torch.Size())


def _turned(build: Builder, vector: Part) -> Part:
    """A vector as a column."""
    if isinstance(vector, Node):
        return build.move(vector, lambda places: places[:, None])
    return build.constant(vector).then(lambda value: value[:, None])


def _column(build: Builder, value: Node) -> Node:
    return build.reshape(value, value.shape[:-1])


def add_product(build: Builder, bias: Part, first: Part, second: Part, *, beta: float = 1, alpha: float = 1) -> Node:
    """beta · bias + alpha · first · second."""
    if beta == 1 and alpha == 1 and isinstance(first, Node) and _has(second, 2) and _has(bias, 1):
        return build.linear(first, build.constant(second).then(torch.t), build.constant(bias))
    found = build.scale(matmul(build, first, second), float(alpha))
    if isinstance(bias, Node):
        return build.add(found, bias, float(beta))
    return build.add(found, build.constant(bias), float(beta))


def _has(part: Part, axes: int) -> bool:
    """True if a part is a constant with this number of axes."""
    return isinstance(part, ConstantTensor) and part.value.ndim == axes


def convolution(
    build: Builder, value: Part, weight: Part, bias: ConstantTensor | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Node:  # fmt: skip
    """A convolution with a constant kernel."""
    if not isinstance(value, Node) or not isinstance(weight, ConstantTensor) or isinstance(bias, Node):
        raise build.refuse("convolution with a kernel that depends on the input, which no layer rule covers")
    axes = weight.value.ndim - 2
    steps, pads, gaps, more = (_each(given, axes) for given in (stride, padding, dilation, output_padding))
    step = ConvolutionStep(weight, bias, steps, pads, gaps, transposed, more, groups, value.shape)
    with torch.no_grad():
        like = torch.empty(1, *value.stored, dtype=build.constants.dtype, device=build.device)
        found = step(torch.zeros_like(like)).shape[1:]
    shape = torch.Size([1, *found]) if value.shape[0] == 1 else torch.Size(found)
    plain = axes == 2 and not transposed and value.shape[0] == 1
    return build.step(value, step, build.rules[nn.Conv2d] if plain else AnyConvolutionRule(), shape)


def _each(given: Any, axes: int) -> tuple[int, ...]:
    return tuple(int(number) for number in given) if len(given) == axes else (int(given[0]),) * axes


PRODUCTS: dict[str, Callable[..., Any]] = {
    "mm": matmul,
    "bmm": matmul,
    "matmul": matmul,
    "mv": matrix_times_vector,
    "dot": dot,
    "addmm": add_product,
    "baddbmm": add_product,
    "linear": lambda build, value, weight, bias=None: build.linear(value, weight, bias),
    "convolution": convolution,
}
