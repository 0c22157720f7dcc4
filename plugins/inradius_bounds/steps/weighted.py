"""Steps with weights and biases that are constants of the computation."""

from functools import cached_property

import torch
from torch import Tensor

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

    @property
    def bias(self) -> Tensor | None:
        """b, as torch's layers name it."""
        return None if self.biases is None else self.biases.value

    @property
    def bias_size(self) -> Tensor | None:
        """A bound on the sizes of the numbers that are added up to make the biases."""
        return self.bias if self.size is None else self.size.value
