"""Steps with weights and biases that are constants of the computation, and the rule of all z -> W z + b."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inradius import LayerRule, Operator
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.steps.scale import Intermediates


class WeightedStep:
    """z -> W z + b, with weights W and biases b, or None for none.

    A scaling that follows may be made part of the step. Then ``size`` bounds the sizes of the numbers that are added up to make
    the biases, ``more`` counts the additional roundings of the model, and ``inside`` describes its numbers on the way.
    """

    weights: ConstantTensor
    biases: ConstantTensor | None
    size: ConstantTensor | None
    more: int
    inside: Intermediates | None

    @property
    def weight(self) -> Tensor:
        """W, as torch's layers name it."""
        return self.weights.value

    @cached_property
    def _sizes(self) -> ConstantTensor:
        return self.weights.then(torch.abs)

    @property
    def weight_size(self) -> Tensor:
        """|W|, computed once for all bounds without gradients."""
        return self.weight.abs() if torch.is_grad_enabled() else self._sizes.value

    @cached_property
    def _extent(self) -> ConstantTensor:
        return self._sizes.then(lambda size: torch.stack(size.aminmax()) if size.numel() else size.new_zeros(2))

    @property
    def extent(self) -> tuple[float, float, float]:
        """The least and the largest size of a weight, and the largest of ``bias_sizes``."""
        least, largest = self._extent.value.detach().tolist()
        return least, largest, float(self.bias_sizes.detach().max()) if self.outputs else 0.0

    @property
    def outputs(self) -> int:
        """The number of biases that the step has room for."""
        return int(self.weight.shape[0])

    @property
    def bias_sizes(self) -> Tensor:
        """``bias_size`` as numbers ≥ 0, (outputs,); zeros without biases."""
        size = self.bias_size
        return self.weight.new_zeros(self.outputs) if size is None else size.abs()

    @property
    def bias(self) -> Tensor | None:
        """b, as torch's layers name it."""
        return None if self.biases is None else self.biases.value

    @property
    def bias_size(self) -> Tensor | None:
        """A bound on the sizes of the numbers that are added up to make the biases."""
        return self.bias if self.size is None else self.size.value


class WeightedRule(LayerRule, ABC):
    """The rule of layers and steps z -> W z + b: boxes by middle and half width."""

    affine = True

    @abstractmethod
    def spread(self, op: Operator, bound: Tensor, constants: Tensor | None) -> Tensor:
        """|W| bound + constants, (B, *in) -> (B, *out), with one constant for each bias, or None for none."""

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        center, radius = (upper + lower) / 2, (upper - lower) / 2
        middle, spread = op(center), self.spread(op, radius, None)
        return middle - spread, middle + spread

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        size = getattr(op.module, "bias_size", op.module.bias)
        return self.spread(op, bound, None if size is None else size.abs())

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        return self.spread(op, bound, None)


def weight_size(module: Any) -> Tensor:
    """|W|, which a step of a captured computation keeps and a layer does not."""
    kept: Tensor | None = getattr(module, "weight_size", None)
    return module.weight.abs() if kept is None else kept
