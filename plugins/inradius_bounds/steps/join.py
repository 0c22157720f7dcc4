"""Steps that make one value from several: sums of values, and numbers gathered from several values."""

from collections.abc import Sequence
from functools import cached_property

import attrs
import torch
from torch import Tensor

from inradius_bounds.box import Box
from inradius_bounds.lowering.constants import ConstantTensor


@attrs.frozen(eq=False)
class Added:
    """(z₁, ..., zₙ) -> Σ factorᵢ · zᵢ, where all values have one shape."""

    factors: tuple[float, ...]

    adds = True
    fan = 1
    flushes = False

    def __call__(self, *values: Tensor) -> Tensor:
        first, *rest = (self._times(factor, value) for factor, value in zip(self.factors, values, strict=True))
        for value in rest:
            first = first + value
        return first

    @staticmethod
    def _times(factor: float, value: Tensor) -> Tensor:
        return value if factor == 1 else -value if factor == -1 else factor * value

    def interval(self, *boxes: Box) -> Box:
        """Bounds of the sum over boxes, two of (B, *out)."""
        ends = [box if factor >= 0 else (box[1], box[0]) for factor, box in zip(self.factors, boxes, strict=True)]
        return self(*(low for low, _ in ends)), self(*(high for _, high in ends))

    def magnitude(self, *bounds: Tensor) -> Tensor:
        """Σ |factorᵢ| · boundᵢ, (B, *out)."""
        return Added(tuple(map(abs, self.factors)))(*bounds)

    def stretch(self, *bounds: Tensor) -> Tensor:
        """Σ |factorᵢ| · boundᵢ, (B, *out), as there are no constants."""
        return self.magnitude(*bounds)

    def adjoint(self, rows: Tensor) -> list[Tensor]:
        """The rows on each value, (B, K, *out) -> (B, K, *in) each."""
        return [self._times(factor, rows) for factor in self.factors]

    @property
    def terms(self) -> int:
        return len(self.factors)


@attrs.frozen(eq=False, slots=False)
class Gathered:
    """Numbers of several values and of constants, side by side, at the places ``index``, in the shape ``out_shape``.

    shapes: those of the values. constants (numbers,): placed behind the values; None for none.
    """

    shapes: tuple[torch.Size, ...]
    constants: ConstantTensor | None
    index: Tensor
    out_shape: torch.Size
    # the smallest normal number of the model's type
    least: float = 0.0

    adds = False
    terms = 1

    @cached_property
    def fan(self) -> int:
        return int(self.index.bincount().max()) if self.index.numel() else 1

    @property
    def flushes(self) -> bool:
        """True if a machine may take one of the constants for 0."""
        if self.constants is None:
            return False
        size = self.constants.value.abs()
        return bool(((size > 0) & (size < self.least)).any())

    def __call__(self, *values: Tensor) -> Tensor:
        parts = [value.flatten(1) for value in values]
        if self.constants is not None:
            parts.append(self.constants.value.expand(len(values[0]), -1))
        return torch.cat(parts, dim=1)[:, self.index].reshape(-1, *self.out_shape)

    def interval(self, *boxes: Box) -> Box:
        """Bounds of the gathered numbers over boxes, two of (B, *out)."""
        return self(*(low for low, _ in boxes)), self(*(high for _, high in boxes))

    def magnitude(self, *bounds: Tensor) -> Tensor:
        """Bounds on the sizes of the gathered numbers, (B, *out)."""
        return self(*bounds).abs() if self.constants is not None else self(*bounds)

    def stretch(self, *bounds: Tensor) -> Tensor:
        """The gathered bounds, with 0 at the places of constants, (B, *out)."""
        parts = [bound.flatten(1) for bound in bounds]
        if self.constants is not None:
            parts.append(parts[0].new_zeros(len(parts[0]), self.constants.value.numel()))
        return torch.cat(parts, dim=1)[:, self.index].reshape(-1, *self.out_shape)

    def adjoint(self, rows: Tensor) -> list[Tensor]:
        """The rows on each value, (B, K, *out) -> (B, K, *in) each."""
        sizes = [shape.numel() for shape in self.shapes]
        behind = 0 if self.constants is None else self.constants.value.numel()
        whole = rows.new_zeros(*rows.shape[:2], sum(sizes) + behind).index_add(2, self.index, rows.flatten(2))
        parts: Sequence[Tensor] = torch.split(whole, [*sizes, *([behind] if behind else [])], dim=2)
        return [part.reshape(*rows.shape[:2], *shape) for part, shape in zip(parts, self.shapes, strict=False)]


Join = Added | Gathered
