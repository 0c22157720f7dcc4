"""Numbers that values are never below, as their structure says: sums of squares, exponentials, and what is added to them."""

import math

import torch
from torch import nn

from inradius_bounds.lowering.constants import ConstantStore, ConstantTensor
from inradius_bounds.lowering.node import Node
from inradius_bounds.rules.functions import CappedExpLayer, ExpLayer, ReciprocalLayer, SquareLayer, SquareRootLayer
from inradius_bounds.steps.join import Added
from inradius_bounds.steps.move import Move
from inradius_bounds.steps.scale import Scale
from inradius_bounds.steps.sums import Means, Sum

# layers whose values are never below 0
_NONNEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus, ExpLayer, CappedExpLayer, SquareLayer)


def least_of(node: Node, constants: ConstantStore) -> float | None:
    """A number that a node's values are never below, in exact arithmetic and in any execution; None where none is known."""
    node = node.root
    if node.join is not None:
        if not isinstance(node.join, Added) or any(factor < 0 for factor in node.join.factors):
            return None
        parts = [least_of(source, constants) for source in node.sources]
        return 0.0 if all(part is not None and part >= 0 for part in parts) else None
    if node.operator is None:
        return None
    module = node.operator.module
    if isinstance(module, _NONNEGATIVE):
        return 0.0
    if isinstance(module, SquareRootLayer | ReciprocalLayer):
        return _of_layer(module, constants)
    before = least_of(node.sources[0], constants) if isinstance(module, Move | Sum | Means | Scale) else None
    if before is None or before < 0:
        return None
    if isinstance(module, Move):
        return before
    if isinstance(module, Scale):
        return _shifted(module, before, constants)
    return 0.0 if isinstance(module, Means) or module.factor >= 0 else None


def _of_layer(module: SquareRootLayer | ReciprocalLayer, constants: ConstantStore) -> float | None:
    """That of a root, or of the reciprocal of a value that is never below 0."""
    if isinstance(module, SquareRootLayer):
        # an execution may miss a root by 8 units in the last place
        return _below(math.sqrt(module.least), constants) if module.least else 0.0
    return None if module.least is None else 0.0


def _shifted(scale: Scale, before: float, constants: ConstantStore) -> float | None:
    """That of a value ≥ ``before`` ≥ 0 plus one number, or times one number ≥ 0."""
    parts = [_single(part, constants) for part in (scale.factor, scale.shift) if part is not None]
    if any(part is None or part < 0 for part in parts):
        return None
    if scale.factor is not None:
        return 0.0
    shift = parts[0] or 0.0
    # an execution rounds each sum, but to no less than either part
    return max(before, _below(shift, constants))


def _single(part: ConstantTensor, constants: ConstantStore) -> float | None:
    """A constant that is one number; the capture is made anew where it changes."""
    if part.value.numel() != 1:
        return None
    return float(constants.fixed(part))


def _below(number: float, constants: ConstantStore) -> float:
    """A number that an execution's own copy of another is not below, nor what it adds to it."""
    info = torch.finfo(constants.native)
    return 0.0 if number < 4 * info.smallest_normal else number * (1 - 32 * info.eps)
