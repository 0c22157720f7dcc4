"""A run of affine layers as one affine operator."""

import attrs
import torch
from torch import Tensor

from inradius import Operator

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class AffineBlock:
    """The affine layers between two non-linear ones, or none, for one example of shape ``in_shape`` -> ``out_shape``."""

    ops: tuple[Operator, ...]
    in_shape: torch.Size
    out_shape: torch.Size

    @property
    def exact_interval(self) -> bool:
        """True if at most one layer mixes coordinates, and its interval is exact."""
        mixing = [op for op in self.ops if op.rule.mixes(op)]
        return len(mixing) <= 1 and all(op.rule.exact(op) for op in mixing)

    def __call__(self, x: Tensor) -> Tensor:
        for op in self.ops:
            x = op(x)
        return x

    def offset(self, like: Tensor) -> Tensor:
        """The block's value at zero, (1, *out)."""
        return self(torch.zeros(1, *self.in_shape, dtype=like.dtype, device=like.device))

    def adjoint(self, rows: Tensor) -> Tensor:
        """The rows times the linear part, (B, K, *out) -> (B, K, *in)."""
        for op in reversed(self.ops):
            rows = op.rule.adjoint(op, rows)
        return rows

    def unit_rows(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows of chosen outputs, flat indices (B, K) -> (B, K, *in)."""
        same = index.stride(0) == 0
        rows = self._unit_rows(index[:1] if same else index, dtype)
        return rows.expand(len(index), *rows.shape[1:]) if same else rows

    def _unit_rows(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        if not self.ops:
            unit = torch.zeros(*index.shape, self.in_shape.numel(), dtype=dtype, device=index.device)
            return unit.scatter_(2, index[..., None], 1).view(*index.shape, *self.in_shape)
        last = self.ops[-1]
        rows = last.rule.unit_rows(last, index, dtype)
        for op in reversed(self.ops[:-1]):
            rows = op.rule.adjoint(op, rows)
        return rows

    def interval(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Elementwise bounds over a box, layer by layer, two of (B, *out)."""
        for op in self.ops:
            lower, upper = op.rule.interval(op, lower, upper)
        return lower, upper

    def local_rows(self) -> tuple[Tensor, Tensor] | None:
        """The few inputs and weights of each output, two of (N, m); None unless one layer has such rows and all others scale."""
        mixing = [position for position, op in enumerate(self.ops) if not op.rule.elementwise]
        if len(mixing) != 1:
            return None
        op = self.ops[mixing[0]]
        found = op.rule.local_rows(op)
        if found is None:
            return None
        index, weight = found
        before, after = self.ops[: mixing[0]], self.ops[mixing[0] + 1 :]
        gain_in = _diagonal(before, op.in_shape, weight)
        gain_out = _diagonal(after, self.out_shape, weight)
        return index, weight * gain_in[index.clamp(min=0)] * gain_out[:, None]

    def filters(self, like: Tensor) -> tuple[Tensor, Pair, Pair, Pair] | None:
        """Weights (F, C, h, w), grid, stride and pad, where the block is one convolution with scalings of channels; else None."""
        mixing = [position for position, op in enumerate(self.ops) if not op.rule.elementwise]
        if len(mixing) != 1:
            return None
        op = self.ops[mixing[0]]
        step = op.rule.window(op)
        if step is None:
            return None
        weight = op.rule.unit_windows(op, torch.arange(op.out_shape[0], device=like.device)[None], like.dtype)[0]
        gain_in = _diagonal(self.ops[: mixing[0]], op.in_shape, weight).view(op.in_shape)
        gain_out = _diagonal(self.ops[mixing[0] + 1 :], self.out_shape, weight).view(op.out_shape)
        if any(bool((gain != gain[:, :1, :1]).any()) for gain in (gain_in, gain_out)):
            return None
        scaled = weight * gain_in[:, :1, :1] * gain_out[:, 0, 0].view(-1, 1, 1, 1)
        return scaled, (op.out_shape[1], op.out_shape[2]), step[0], step[1]


def _diagonal(ops: tuple[Operator, ...], out_shape: torch.Size, like: Tensor) -> Tensor:
    """The factors of layers that only scale and reshape, flat."""
    ones = torch.ones(1, 1, *out_shape, dtype=like.dtype, device=like.device)
    for op in reversed(ops):
        ones = op.rule.adjoint(op, ones)
    return ones.flatten()
