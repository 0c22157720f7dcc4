"""Affine maps, as a set meets them in a network's first layer."""

from typing import Protocol

import torch
from torch import Tensor


class AffineOperator(Protocol):
    """An affine map of one example's input, as a threat model sees a network's first layer."""

    @property
    def out_shape(self) -> torch.Size:
        """Shape of one example's output."""
        ...

    @property
    def exact_interval(self) -> bool:
        """True where ``interval`` is exact on boxes: at most one of the layers mixes coordinates."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """The map's value, (B, *S) -> (B, *out)."""
        ...

    def adjoint(self, rows: Tensor) -> Tensor:
        """Rows of the linear part, (B, K, *out) -> (B, K, *S)."""
        ...

    def interval(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Elementwise bounds over a box, two of (B, *S) -> two of (B, *out)."""
        ...

    def unit_rows(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows of chosen outputs (flat indices), (B, K) -> (B, K, *S)."""
        ...

    def local_rows(self) -> tuple[Tensor, Tensor] | None:
        """Each output's few inputs and weights: flat indices (N, m), -1 for padding, and weights (N, m); or None."""
        ...

    def filters(self, like: Tensor) -> tuple[Tensor, tuple[int, int], tuple[int, int], tuple[int, int]] | None:
        """Of a single convolution the weights (F, C, h, w), the grid of its outputs, stride and pad; or None.

        Output (f, a, b) is ⟨weights[f], window⟩, the window beginning at (a, b) · stride − pad, zeros around the image. The
        weights have the type and device of ``like``.
        """
        ...
