"""Convolutions with constant kernels."""

from functools import cached_property
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius import Operator
from inradius_bounds.lowering.constants import ConstantTensor
from inradius_bounds.steps.scale import Intermediates
from inradius_bounds.steps.weighted import WeightedRule, WeightedStep

Numbers = tuple[int, ...]


@attrs.define(eq=False, slots=False)
class ConvolutionStep(WeightedStep):
    """z -> W * z + b, with the attribute names of torch's layers.

    ``axes`` counts the axes of an image. ``in_shape`` holds all axes of z, of which those before (C, *image) are examples.
    """

    weights: ConstantTensor
    biases: ConstantTensor | None
    stride: Numbers
    padding: Numbers
    dilation: Numbers
    transposed: bool
    output_padding: Numbers
    groups: int
    in_shape: torch.Size
    size: ConstantTensor | None = None
    more: int = 0
    inside: Intermediates | None = None

    @cached_property
    def kernel_size(self) -> Numbers:
        return tuple(self.weight.shape[2:])

    @cached_property
    def in_channels(self) -> int:
        return int(self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups)

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1]) * self.groups if self.transposed else int(self.weight.shape[0])

    def __call__(self, z: Tensor) -> Tensor:
        return self.with_kernel(z, self.weight, self.bias)

    def with_kernel(self, z: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with another kernel of the same shape."""
        images = z.reshape(-1, *self.in_shape[1:])
        found = torch.convolution(images, weight, bias, *self._setting)
        return found.reshape(
            len(z), *found.shape[1:] if self.in_shape[0] == 1 else (self.in_shape[0], *found.shape[1:])
        )

    @property
    def _setting(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups

    @property
    def sizes(self) -> tuple[int, int]:
        """The most products that a number of the result adds up, and the most rows that a number of the input adds up."""
        taps = int(self.weight[0, 0].numel())
        first, second = int(self.weight.shape[0]) // self.groups, int(self.weight.shape[1])
        return (taps * first, taps * second) if self.transposed else (taps * second, taps * first)

    def pulled(self, images: Tensor) -> Tensor:
        """Rows on the images times the linear part, (n, C, *image) -> (n, C', *image')."""
        like = images.new_zeros(1).expand(len(images), *self.in_shape[1:])
        pulled: Tensor = torch.ops.aten.convolution_backward(
            images, like, self.weight, None, *self._setting, [True, False, False]
        )[0]
        return pulled


class AnyConvolutionRule(WeightedRule):
    """The rule of convolutions with any number of axes, also transposed ones. The adjoint is torch's own kernel for it."""

    def spread(self, op: Operator, bound: Tensor, constants: Tensor | None) -> Tensor:
        found: Tensor = op.module.with_kernel(bound, op.module.weight_size, constants)
        return found

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        step = op.module
        images = rows.reshape(-1, *op.out_shape[1 - len(step.in_shape) :])
        pulled: Tensor = step.pulled(images)
        return pulled.reshape(*rows.shape[:2], *op.in_shape)

    def terms(self, op: Operator) -> int:
        return int(op.module.sizes[0]) + int(op.module.more)

    def fan(self, op: Operator) -> int:
        return int(op.module.sizes[1])
