"""Normalisations and softmax."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inradius_bounds.lowering.builder import Builder
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.lowering.node import Node
from inradius_bounds.lowering.operators.arithmetic import multiply, square
from inradius_bounds.lowering.operators.curves import reciprocal_root
from inradius_bounds.rules.functions import CappedExpLayer, ReciprocalLayer
from inradius_bounds.steps.scale import Intermediates

# the most differences that a softmax is made of
_PAIRS = 4096


def softmax(build: Builder, value: Node, axis: int, _: Any = False) -> Node:
    """One step, or 1 / Σ_j exp(z_j − z_i) where the differences may have narrower bounds than the numbers and are few.

    This form has no quotient of two sums, which would loosen the bounds. The sum is at least 1. The exponentials have a cap C, so
    that bounds are finite for any z: a sum that the cap changes is at least exp(C) with it and without it, so that the reciprocals
    differ by no more than exp(−C). Where z_j is −inf its exponential is 0, and where z_i is −inf the result is.
    """
    if value.hidden is not None and bool(value.hidden.all(axis).any()):
        raise build.refuse(
            "softmax of numbers that are all -inf, which is not a number; allowed are rows with a finite one"
        )
    return safe_softmax(build, value, axis)


def safe_softmax(build: Builder, value: Node, axis: int, _: Any = False) -> Node:
    """Softmax, and 0 where all numbers are −inf."""
    axis = axis % len(value.shape) if value.shape else 0
    if build.products and value.shape and not _by_pairs(value, axis):
        return build.softmax(value, axis, None if value.hidden is None else ~value.hidden)
    build.squared = True
    # the entry (i, j) is z_j − z_i, and the sum runs over j
    behind = build.move(value, lambda places: places.unsqueeze(axis))
    ahead = build.move(value, lambda places: places.unsqueeze(axis + 1))
    powers = build.curve(build.subtract(behind, ahead), CappedExpLayer())
    if value.hidden is not None:
        powers = build.scale(powers, build.constant(_counted(~value.hidden, axis)))
    total = build.sum(powers, (axis + 1,), keepdim=False)
    found = build.curve(total, ReciprocalLayer(1.0, math.exp(-CappedExpLayer.cap)))
    return found if value.hidden is None else build.scale(found, build.constant(~value.hidden))


def _by_pairs(value: Node, axis: int) -> bool:
    """True for few numbers that are not products of matrices, such as the logits of classes.

    The scores of attention are such products. Bounds of their differences cost most of the time and are hardly narrower.
    """
    if value.shape.numel() * value.shape[axis] > _PAIRS:
        return False
    left, seen = [value.root], set()
    while left:
        node = left.pop()
        if node.product is not None and not node.product.exact:
            return False
        if node not in seen and not node.bends and not (node.operator and node.operator.rule.mixes(node.operator)):
            seen.add(node)
            left += node.sources
    return True


def _counted(shown: Tensor, axis: int) -> Tensor:
    """True where the entry (i, j) counts: z_j is finite, or j is i, so that every sum is at least 1."""
    count = shown.shape[axis]
    own = torch.eye(count, dtype=torch.bool, device=shown.device).view(count, count, *(1,) * (shown.ndim - axis - 1))
    return shown.unsqueeze(axis) | own


def layer_norm(
    build: Builder, value: Node, shape: Any, weight: ConstantTensor | None, bias: ConstantTensor | None, eps: float
) -> list[Any]:
    """(z − mean) / sqrt(variance + eps) · weight + bias."""
    _check_constant(build, "layer_norm", weight, bias)
    axes = tuple(range(len(value.shape) - len(shape), len(value.shape)))
    count = torch.Size([value.shape[axis] for axis in axes]).numel()
    centered = build.subtract(value, build.sum(value, axes, True, 1 / count))
    variance = build.sum(square(build, centered), axes, True, 1 / count)
    found = multiply(build, centered, reciprocal_root(build, build.add(variance, float(eps))))
    # the squares of n numbers of mean 0 and variance at most 1 add up to n, so that none is above √(n − 1)
    most = math.sqrt(max(count - 1, 1)) * (1 + 1e-6)
    found = build.curve(found, nn.Hardtanh(-most, most))
    return [_weighted(build, found, weight, bias), None, None]


def group_norm(
    build: Builder, value: Node, weight: ConstantTensor | None, bias: ConstantTensor | None, *sizes: Any
) -> list[Any]:
    """Layer normalisation of groups of channels. Weight and bias have one number for each channel."""
    _check_constant(build, "group_norm", weight, bias)
    groups, eps = int(sizes[-2]), float(sizes[-1])
    parts = build.reshape(value, torch.Size([value.shape[0], groups, value.shape.numel() // value.shape[0] // groups]))
    found = build.reshape(layer_norm(build, parts, parts.shape[2:], None, None, eps)[0], value.shape)
    shape = (-1, *(1,) * (len(value.shape) - 2))
    factor, shift = (part and part.then(lambda given: given.reshape(shape)) for part in (weight, bias))
    return [_weighted(build, found, factor, shift), None, None]


def _check_constant(build: Builder, name: str, *parts: Any) -> None:
    """Raises ``UnsupportedError`` where weights or statistics of a normalisation depend on the input."""
    if any(isinstance(part, Node) for part in parts):
        raise build.refuse(f"{name} with weights or statistics that depend on the input, which no layer rule covers")


def _weighted(build: Builder, value: Node, weight: ConstantTensor | None, bias: ConstantTensor | None) -> Node:
    value = value if weight is None else build.scale(value, weight)
    return value if bias is None else build.add(value, bias)


def batch_norm(
    build: Builder,
    value: Node,
    weight: ConstantTensor | None,
    bias: ConstantTensor | None,
    mean: Any,
    variance: Any,
    *rest: Any,
) -> list[Any]:
    """(z − mean) / sqrt(variance + eps) · weight + bias, with the running statistics."""
    _check_constant(build, "batch_norm", weight, bias, mean, variance)
    eps = float(rest[-1])
    if rest[0]:
        # the statistics of each channel of one example, as in instance norm
        return group_norm(build, value, weight, bias, value.shape[1], eps)
    shape = (-1, *(1,) * (len(value.shape) - 2))
    one, zero = build.constant(1.0), build.constant(0.0)
    factor = build.constants.made(
        lambda spread, gain: ((spread + eps).rsqrt() * gain).reshape(shape), variance, weight or one
    )
    shift = build.constants.made(
        lambda middle, scale, lift: (lift - middle * scale.flatten()).reshape(shape), mean, factor, bias or zero
    )
    size = build.constants.made(
        lambda middle, scale, lift: (lift.abs() + (middle * scale.flatten()).abs()).reshape(shape),
        mean,
        factor,
        bias or zero,
    )
    least = torch.finfo(build.constants.native).smallest_normal

    def largest(spread: Tensor, gain: Tensor) -> Tensor:
        root = (spread + eps).rsqrt()
        found = torch.stack([root, gain.abs().expand_as(root), (root * gain).abs()]).amax(0).clamp(min=1)
        # a machine may take these numbers for 0
        lost = ((spread > 0) & (spread < least)) | (spread + eps < 4 * least)
        return torch.where(lost, torch.inf, found).reshape(shape)

    inside = Intermediates(
        build.constants.made(largest, variance, weight or one),
        build.constants.made(lambda middle: middle.abs().reshape(shape), mean),
    )
    return [build.affine(value, factor, shift, size, inside), None, None]


NORMS: dict[str, Callable[..., Any]] = {
    "_softmax": softmax,
    "softmax": softmax,
    "_safe_softmax": safe_softmax,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "miopen_batch_norm"),
        batch_norm,
    ),
}
