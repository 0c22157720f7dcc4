"""Steps that add numbers up with weights ≥ 0: sums, means and means over windows."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius import LayerRule, Operator


@attrs.frozen(eq=False)
class Sum:
    """z -> factor · Σ z over some axes. ``in_shape`` is that of z with all its axes, of which ``axes`` are summed."""

    in_shape: torch.Size
    axes: tuple[int, ...]
    factor: float
    out_shape: torch.Size

    def __call__(self, z: Tensor) -> Tensor:
        full = z.reshape(len(z), *self.in_shape)
        found = full.sum(tuple(axis + 1 for axis in self.axes)) if self.axes else full
        return (found * self.factor if self.factor != 1 else found).reshape(len(z), *self.out_shape)

    def pulled(self, rows: Tensor) -> Tensor:
        """The rows times the linear part, (n, *out) -> (n, *in with all axes)."""
        kept = [1 if axis in self.axes else length for axis, length in enumerate(self.in_shape)]
        rows = rows * self.factor if self.factor != 1 else rows
        return rows.reshape(len(rows), *kept).expand(len(rows), *self.in_shape)

    fan = 1

    @property
    def terms(self) -> int:
        return torch.Size([self.in_shape[axis] for axis in self.axes]).numel()


@attrs.frozen(eq=False)
class Means:
    """z -> means over windows of images. ``call`` computes them, and ``back`` is its adjoint, called with (rows, like).

    ``in_shape`` is that of z with all its axes. ``terms`` counts the numbers of the largest window. ``axes`` counts the axes of
    an image with its channels.
    """

    call: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]
    in_shape: torch.Size
    out_shape: torch.Size
    terms: int
    axes: int = 3

    @property
    def fan(self) -> int:
        # windows may overlap
        return self.out_shape[-self.axes :].numel()

    def __call__(self, z: Tensor) -> Tensor:
        return self.call(z.reshape(-1, *self.in_shape[-self.axes :])).reshape(len(z), *self.out_shape)

    def pulled(self, rows: Tensor) -> Tensor:
        """The rows times the linear part, (n, *out) -> images (n', C, H, W) that hold (n, *in)."""
        images = rows.reshape(-1, *self.out_shape[-self.axes :])
        like = images.new_zeros(1).expand(len(images), *self.in_shape[-self.axes :])
        return self.back(images, like)


class SumRule(LayerRule):
    """The rule of sums. Every weight is ≥ 0, so each bound passes on its own."""

    affine = True

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op(lower), op(upper)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        return op.module.pulled(rows.flatten(0, 1)).reshape(*rows.shape[:2], *op.in_shape)  # type: ignore[no-any-return]

    def terms(self, op: Operator) -> int:
        return int(op.module.terms)

    def fan(self, op: Operator) -> int:
        return int(op.module.fan)
