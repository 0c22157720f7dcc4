"""Scalings behind convolutions and products, such as batch norm, made part of their weights, and ReLUs made part of maxima."""

from collections import Counter
from collections.abc import Callable, Iterable

import attrs
import torch
from torch import Tensor, nn

from inradius import Operator
from inradius_bounds.lowering.constants import ConstantStore, ConstantTensor
from inradius_bounds.lowering.node import Node
from inradius_bounds.steps.convolution import ConvolutionStep
from inradius_bounds.steps.product import LinearStep
from inradius_bounds.steps.scale import Intermediates, Scale
from inradius_bounds.steps.window_maximum import WindowMaximum


def fused(order: Iterable[Node], constants: ConstantStore) -> dict[Node, Node]:
    """New nodes for those of a computation, by the old ones. A scaling of channels becomes part of the step before it.

    The step still states the model's own rounding on the way, as ``size`` and ``more``. A ReLU beside a maximum over windows
    becomes part of the maximum.
    """
    order = list(order)
    uses = Counter(source for node in order for source in node.sources)
    found: dict[Node, Node] = {}
    for node in order:
        clipped = _clipped(node, uses)
        if clipped is not None:
            found[node] = attrs.evolve(clipped, sources=tuple(found[each] for each in clipped.sources))
            continue
        one = _one_step(node, uses, constants)
        before, executed = node, node.executed
        if one is not None:
            before = node.sources[0]
            # behind a second scaling, the intermediate numbers of the first are no longer known
            known = None if before.operator is None else before.operator.module.inside
            executed = node.executed and before.executed and known is None
        sources = tuple(found[each] for each in before.sources)
        found[node] = attrs.evolve(before, sources=sources, operator=one or before.operator, executed=executed)
    return found


def _clipped(node: Node, uses: Counter[Node]) -> Node | None:
    """A maximum over windows of ReLUs, or the ReLU of one, as one node: they are the same numbers. None for anything else."""
    if node.product is None and not _is_relu(node):
        return None
    before = node.sources[0]
    first, second = (before, node) if isinstance(before.product, WindowMaximum) else (node, before)
    if not isinstance(first.product, WindowMaximum) or not _is_relu(second):
        return None
    if before is first and uses[before] > 1:
        return None
    product = attrs.evolve(first.product, clipped=True)
    executed = first.executed and second.executed
    return attrs.evolve(node, product=product, operator=None, sources=before.sources, executed=executed)


def _is_relu(node: Node) -> bool:
    return node.operator is not None and isinstance(node.operator.module, nn.ReLU)


def _one_step(node: Node, uses: Counter[Node], constants: ConstantStore) -> Operator | None:
    """A step together with the scaling of its channels behind it, as one operator; None for anything else."""
    if node.operator is None or not isinstance(node.operator.module, Scale) or uses[node.sources[0]] > 1:
        return None
    before, scale = node.sources[0].operator, node.operator.module
    if before is None or before.out_shape != node.operator.out_shape:
        return None
    step = before.module
    if isinstance(step, ConvolutionStep) and not step.transposed and len(before.out_shape) == len(step.in_shape) - 1:
        channels, axes = before.out_shape[0], len(before.out_shape) - 1
    elif isinstance(step, LinearStep) and len(before.out_shape) == 1:
        channels, axes = before.out_shape[0], 0
    else:
        return None
    inside = () if scale.inside is None else (scale.inside.peak, scale.inside.middle)
    parts = [part for part in (scale.factor, scale.shift, scale.size, *inside) if part is not None]
    if any(not _per_channel(part.value, channels, axes) for part in parts):
        return None
    return attrs.evolve(before, module=_scaled(step, scale, channels, constants))


def _per_channel(value: Tensor, channels: int, axes: int) -> bool:
    """True if a constant broadcasts against (channels, ...) as one number for each channel, or as one for all."""
    shape = value.shape[1:] if value.ndim > axes + 1 and value.shape[0] == 1 else value.shape
    if len(shape) <= axes:
        return all(length == 1 for length in shape)
    return len(shape) == axes + 1 and shape[0] in (1, channels) and all(length == 1 for length in shape[1:])


def _scaled(
    step: ConvolutionStep | LinearStep, scale: Scale, channels: int, constants: ConstantStore
) -> ConvolutionStep | LinearStep:
    one, zero = (ConstantTensor(constants, _filled(step.weights, number)) for number in (1.0, 0.0))
    factor, bias, lift = scale.factor or one, step.biases or zero, scale.shift or zero

    def flat(value: Tensor) -> Tensor:
        return value.reshape(-1).expand(channels)

    weights = constants.made(
        lambda weight, gain: weight * flat(gain).view(-1, *(1,) * (weight.ndim - 1)), step.weights, factor
    )
    biases = constants.made(lambda gain, bias, lift: flat(gain) * flat(bias) + flat(lift), factor, bias, lift)
    size = constants.made(
        lambda gain, bias, lift: (flat(gain) * flat(bias)).abs() + flat(lift).abs(), factor, bias, scale.size or lift
    )
    # the roundings of the scaling's own products and sums; more where its numbers are computed at every run
    more = 3 if scale.size is None else 13
    inside = _inside(step, scale, channels, factor, constants)
    return attrs.evolve(step, weights=weights, biases=biases, size=size, more=more, inside=inside)


def _inside(
    step: ConvolutionStep | LinearStep, scale: Scale, channels: int, factor: ConstantTensor, constants: ConstantStore
) -> Intermediates:
    """The intermediate numbers of an execution of the step and the scaling."""
    axes = 0 if isinstance(step, LinearStep) else step.weight.ndim - 2

    def spread(value: Tensor) -> Tensor:
        return value.reshape(-1).expand(channels).reshape(channels, *(1,) * axes)

    known = scale.inside
    peak = factor if known is None else known.peak
    middle = None if known is None or known.middle is None else constants.made(spread, known.middle)
    return Intermediates(constants.made(lambda value: spread(value.abs().clamp(min=1)), peak), middle, step)


def _filled(like: ConstantTensor, number: float) -> Callable[[ConstantStore], Tensor]:
    return lambda store: torch.full_like(like.on(store).flatten()[:1], number)
