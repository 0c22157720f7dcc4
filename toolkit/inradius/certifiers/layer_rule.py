"""The interface of layer rules: the passage of bounds through one layer."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from inradius.errors import UnsupportedError

# the slope and the offset of z -> slope · z + offset, each (B, *in)
Line = tuple[Tensor, Tensor]


@attrs.frozen(kw_only=True)
class Relaxation:
    """Linear functions below and above an elementwise operator on [lower, upper]; every tensor is (B, *in).

    lower_slope · z + lower_offset ≤ op(z) ≤ upper_slope · z + upper_offset. ``parallel`` is true where the two slopes are the
    same tensor, so that one backward pass serves both bounds. ``from_origin`` promises that lower_offset is 0 everywhere, which
    saves a product.
    """

    lower_slope: Tensor
    lower_offset: Tensor
    upper_slope: Tensor
    upper_offset: Tensor
    from_origin: bool = False

    @property
    def band(self) -> tuple[Tensor, Tensor]:
        """(middle, half), each (B, *in): parallel lines are slope · z + middle ± half. With ``from_origin`` both are one tensor."""
        if self.from_origin:
            half = self.upper_offset / 2
            return half, half
        return (self.lower_offset + self.upper_offset) / 2, (self.upper_offset - self.lower_offset) / 2

    @property
    def parallel(self) -> bool:
        return self.lower_slope is self.upper_slope


@attrs.frozen(eq=False)
class Operator:
    """A layer in its place: the module, its path in the model, its rule, and the shapes of one example before and behind it.

    ``module`` has the type ``Any`` because each rule knows the class that it is registered for. Where ``forward`` is given, it
    computes the value instead of a call of the module, and hooks of the module do not run.
    """

    path: str
    module: Any
    rule: "LayerRule"
    in_shape: torch.Size
    out_shape: torch.Size
    forward: Callable[[Any, Tensor], Tensor] | None = None

    def __call__(self, z: Tensor) -> Tensor:
        """The layer's value, (B, *in) -> (B, *out)."""
        value: Tensor = self.module(z) if self.forward is None else self.forward(self.module, z)
        return value


class LayerRule:
    """The passage of bounds through one layer. Rules have no state: each call reads the layer's parameters from ``op.module``.

    An affine layer (``affine = True``) needs ``interval``. Without an ``adjoint`` of its own, it is the product with the whole
    matrix, which costs the layer's value at every unit input. An elementwise non-linear layer needs ``interval`` and ``relax``.
    """

    affine: ClassVar[bool] = False
    # True for an affine layer that mixes no coordinates, such as a scaling or a reshape. The interval of a chain stays exact
    # through it.
    elementwise: ClassVar[bool] = False
    # False for an affine layer that only moves numbers, and so rounds nothing.
    rounds: ClassVar[bool] = True

    def check(self, module: nn.Module) -> None:
        """Raises ``UnsupportedError`` where the rule does not cover this very layer, because of its mode or its options."""

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Elementwise bounds of op over the box [lower, upper], two of (B, *in) -> two of (B, *out)."""
        raise UnsupportedError(f"the rule {type(self).__name__} has no interval bounds for {op.module}")

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        """Linear functions below and above an elementwise op on [lower, upper]."""
        raise UnsupportedError(f"the rule {type(self).__name__} has no linear relaxation for {op.module}")

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        """Parallel lines of a given slope (B, *in), where the rule can choose the slope; by default those of ``relax``."""
        return self.relax(op, lower, upper)

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        """The lines below and above an elementwise op that the LP relaxation uses; by default those of ``relax``."""
        relaxed = self.relax(op, lower, upper)
        return [(relaxed.lower_slope, relaxed.lower_offset)], [(relaxed.upper_slope, relaxed.upper_offset)]

    def from_lines(self, floor: Sequence[Line], ceiling: Sequence[Line]) -> Relaxation | None:
        """The relaxation of ``relax`` over the box that these ``lines`` are for; None, by default, where they do not tell."""
        return None

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        """A mask of the inputs where tighter bounds would tighten an elementwise op's relaxation, (B, *in); by default all."""
        return torch.ones_like(lower, dtype=torch.bool)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        """The rows times the linear part of an affine op, (B, K, *out) -> (B, K, *in)."""
        return (rows.flatten(2) @ self._matrix(op, rows)).view(*rows.shape[:2], *op.in_shape)

    def _matrix(self, op: Operator, like: Tensor) -> Tensor:
        """The linear part of an affine op, (out, in), from the op's values at unit inputs."""
        size = op.in_shape.numel()
        unit = torch.eye(size, dtype=like.dtype, device=like.device).view(size, *op.in_shape)
        columns = op(unit) - op(torch.zeros_like(unit[:1]))
        return columns.flatten(1).t()

    def mixes(self, op: Operator) -> bool:
        """True if an output of an affine op may add up several inputs."""
        return not self.elementwise

    def unit_rows(self, op: Operator, index: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows of chosen outputs of an affine op, flat indices (B, K) -> (B, K, *in)."""
        unit = torch.zeros(*index.shape, op.out_shape.numel(), dtype=dtype, device=index.device)
        return self.adjoint(op, unit.scatter_(2, index[..., None], 1).view(*index.shape, *op.out_shape))

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        """|A| bound + |b| of an affine op z -> A z + b, (B, *in) -> (B, *out). Bounds on rounding errors start from it."""
        lower, upper = self.interval(op, -bound, bound)
        return torch.maximum(lower.abs(), upper.abs())

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        """|A| bound of an affine op, (B, *in) -> (B, *out). It passes rounding errors on."""
        found = self.magnitude(op, bound)
        fixed = self.magnitude(op, torch.zeros_like(bound[:1]))
        # the difference is rounded up
        share = (self.terms(op) + 8) * torch.finfo(found.dtype).eps
        return (found - fixed + 2 * share * found).clamp(min=0)

    def exact(self, op: Operator) -> bool:
        """True if ``interval`` of an affine op is exact over a box."""
        return True

    def terms(self, op: Operator) -> int:
        """The most products that one output adds up; by default 1, which is right where a layer only scales or moves values."""
        return 1

    def fan(self, op: Operator) -> int:
        """The most rows that one number of ``adjoint`` adds up; by default the number of outputs."""
        return op.out_shape.numel()

    def terms_of(self, op: Operator, some: Tensor) -> Tensor | None:
        """The most products that an output adds up where inputs outside of ``some`` (B, *in) are 0, (B,); None if unknown."""
        return None

    def fan_of(self, op: Operator, some: Tensor) -> Tensor | None:
        """The most rows that a number of ``adjoint`` adds up where rows outside of ``some`` (B, *out) are 0, (B,); or None."""
        return None

    def ulps(self, op: Operator) -> float | None:
        """The units in the last place (2 u times its size) by which a non-linear op's execution may miss its exact value.

        It is 0 for an exact op. None, the default, means that the number is unknown, and certificates are at most ``real``.
        """
        return None

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        """A mask of the inputs for which a non-linear op has bounds on [lower, upper] at all, (B, *in); by default all."""
        return torch.ones_like(lower, dtype=torch.bool)

    def local_rows(self, op: Operator) -> tuple[Tensor, Tensor] | None:
        """The few inputs and weights of each output, indices (N, m) with -1 for padding and weights (N, m); else None."""
        return None

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """(stride, pad), each (vertical, horizontal), of an affine op on images whose outputs each depend on a window; else None.

        It is an optional speed-up: rows of convolutions stay small. A rule with a window also has ``pull_window``.
        """
        return None

    def pull_window(self, op: Operator, windows: Tensor) -> Tensor:
        """``adjoint`` without borders, for windows that are cut from the op's output, (B, K, C, h, w) -> (B, K, C', h', w')."""
        return self.adjoint(op, windows)

    def unit_windows(self, op: Operator, channel: Tensor, dtype: torch.dtype) -> Tensor:
        """The weights of outputs of the chosen channels over their windows, (B, K) -> (B, K, C', h', w')."""
        unit = functional.one_hot(channel, op.out_shape[0]).to(dtype)
        return self.pull_window(op, unit[..., None, None])
