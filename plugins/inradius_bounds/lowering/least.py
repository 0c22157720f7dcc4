"""Lower bounds of values that follow from their structure, such as 0 for a sum of squares, and larger ones after an addition."""

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
from inradius_bounds.steps.window_maximum import WindowMaximum

# layers whose values are never below 0
_NONNEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus, ExpLayer, CappedExpLayer, SquareLayer)


def least_of(node: Node, constants: ConstantStore) -> float | None:
    """A number ≤ all values of a node, in exact arithmetic and in any execution; None if none is known."""
    node = node.root
    if node.join is not None:
        if not isinstance(node.join, Added) or any(factor < 0 for factor in node.join.factors):
            return None
        parts = [least_of(source, constants) for source in node.sources]
        return 0.0 if all(part is not None and part >= 0 for part in parts) else None
    if isinstance(node.product, WindowMaximum):
        return least_of(node.sources[0], constants)
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
    """A number ≤ all values of a square root, or of the reciprocal of a nonnegative value; None if none is known."""
    if isinstance(module, SquareRootLayer):
        # an execution may miss a root by 8 units in the last place
        return _below(math.sqrt(module.least), constants) if module.least else 0.0
    return None if module.least is None else 0.0


def _shifted(scale: Scale, before: float, constants: ConstantStore) -> float | None:
    """A number ≤ all values of factor · v or v + shift for v ≥ ``before`` ≥ 0; None unless both are single numbers ≥ 0."""
    parts = [_single(part, constants) for part in (scale.factor, scale.shift) if part is not None]
    if any(part is None or part < 0 for part in parts):
        return None
    if scale.factor is not None:
        return 0.0
    shift = parts[0] or 0.0
    # an execution rounds each sum, but to no less than either part
    return max(before, _below(shift, constants))


def _single(part: ConstantTensor, constants: ConstantStore) -> float | None:
    """The number of a constant with one number, else None. If it changes later, the model is captured again."""
    if part.value.numel() != 1:
        return None
    return float(constants.fixed(part))


def _below(number: float, constants: ConstantStore) -> float:
    """A number ≤ the value that an execution has for ``number`` ≥ 0, and ≤ the rounded sum of it and any nonnegative value."""
    info = torch.finfo(constants.native)
    return 0.0 if number < 4 * info.smallest_normal else number * (1 - 32 * info.eps)
