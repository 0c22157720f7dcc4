"""How bounds pass one layer: the interface of layer rules."""

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from inradius.errors import UnsupportedError

# slope and offset of z -> slope · z + offset, each (B, *in)
Line = tuple[Tensor, Tensor]


@attrs.frozen(kw_only=True)
class Relaxation:
    """Linear functions below and above an elementwise operator on [lower, upper]; every tensor is (B, *in).

    lower_slope · z + lower_offset ≤ op(z) ≤ upper_slope · z + upper_offset. ``parallel`` says that the two slopes are the
    same tensor, so that one backward pass serves both bounds; ``from_origin`` promises that lower_offset is 0 everywhere,
    which saves a product.
    """

    lower_slope: Tensor
    lower_offset: Tensor
    upper_slope: Tensor
    upper_offset: Tensor
    from_origin: bool = False

    @property
    def band(self) -> tuple[Tensor, Tensor]:
        """(middle, half): parallel lines are slope · z + middle ± half; one tensor twice where ``from_origin``."""
        if self.from_origin:
            half = self.upper_offset / 2
            return half, half
        return (self.lower_offset + self.upper_offset) / 2, (self.upper_offset - self.lower_offset) / 2

    @property
    def parallel(self) -> bool:
        return self.lower_slope is self.upper_slope


@attrs.frozen(eq=False)
class Operator:
    """A layer in its place: the module, its path in the model, its rule, and the shapes of one example around it.

    ``module`` is typed ``Any`` because each rule knows the class it was registered for. ``forward``, where it is given, computes
    the value in place of a call of the module, whose hooks then do not run.
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
    """How bounds pass one layer. Rules are stateless: the layer's parameters are read from ``op.module`` at each call.

    An affine layer (``affine = True``) needs ``interval``; where its ``adjoint`` is not given, it is the product with the whole
    matrix, which costs the layer's value at every unit input. An elementwise non-linear layer needs ``interval`` and ``relax``.
    """

    affine: ClassVar[bool] = False
    # An affine layer that mixes no coordinates (a scaling, a reshape): the interval of a chain stays exact through it.
    elementwise: ClassVar[bool] = False
    # False for an affine layer that only moves numbers, so that nothing is rounded.
    rounds: ClassVar[bool] = True

    def check(self, module: nn.Module) -> None:
        """Raises ``UnsupportedError`` where this very layer (its mode, its options) is not covered."""

    def interval(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Elementwise bounds of op over the box [lower, upper], two of (B, *in) -> two of (B, *out)."""
        raise UnsupportedError(f"the rule {type(self).__name__} has no interval bounds for {op.module}")

    def relax(self, op: Operator, lower: Tensor, upper: Tensor) -> Relaxation:
        """Linear functions below and above op on [lower, upper], for an elementwise operator."""
        raise UnsupportedError(f"the rule {type(self).__name__} has no linear relaxation for {op.module}")

    def with_slope(self, op: Operator, slope: Tensor, lower: Tensor, upper: Tensor) -> Relaxation:
        """Parallel lines of a given slope (B, *in), where the rule can choose it; by default those of ``relax``."""
        return self.relax(op, lower, upper)

    def lines(self, op: Operator, lower: Tensor, upper: Tensor) -> tuple[list[Line], list[Line]]:
        """The lines below and above an elementwise op that the LP relaxation uses; by default those of ``relax``."""
        relaxed = self.relax(op, lower, upper)
        return [(relaxed.lower_slope, relaxed.lower_offset)], [(relaxed.upper_slope, relaxed.upper_offset)]

    def undecided(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        """Where tighter bounds would tighten an elementwise op's relaxation, (B, *in); by default everywhere."""
        return torch.ones_like(lower, dtype=torch.bool)

    def adjoint(self, op: Operator, rows: Tensor) -> Tensor:
        """The rows times the linear part of an affine op, (B, K, *out) -> (B, K, *in)."""
        return (rows.flatten(2) @ self._matrix(op, rows)).view(*rows.shape[:2], *op.in_shape)

    def _matrix(self, op: Operator, like: Tensor) -> Tensor:
        """The linear part of an affine op, (out, in), found by the op itself at unit inputs."""
        size = op.in_shape.numel()
        unit = torch.eye(size, dtype=like.dtype, device=like.device).view(size, *op.in_shape)
        columns = op(unit) - op(torch.zeros_like(unit[:1]))
        return columns.flatten(1).t()

    def mixes(self, op: Operator) -> bool:
        """Whether an output of an affine op may add up several inputs."""
        return not self.elementwise

    def unit_rows(self, op: Operator, index: Tensor, dtype: torch.dtype) -> Tensor:
        """The rows of chosen outputs of an affine op, flat indices (B, K) -> (B, K, *in)."""
        unit = torch.zeros(*index.shape, op.out_shape.numel(), dtype=dtype, device=index.device)
        return self.adjoint(op, unit.scatter_(2, index[..., None], 1).view(*index.shape, *op.out_shape))

    def magnitude(self, op: Operator, bound: Tensor) -> Tensor:
        """|A| bound + |b| for an affine op z -> A z + b, from which rounding errors are bounded, (B, *in) -> (B, *out)."""
        lower, upper = self.interval(op, -bound, bound)
        return torch.maximum(lower.abs(), upper.abs())

    def stretch(self, op: Operator, bound: Tensor) -> Tensor:
        """|A| bound for an affine op, of which rounding errors are passed on, (B, *in) -> (B, *out)."""
        found = self.magnitude(op, bound)
        fixed = self.magnitude(op, torch.zeros_like(bound[:1]))
        # the difference of the two, rounded up
        share = (self.terms(op) + 8) * torch.finfo(found.dtype).eps
        return (found - fixed + 2 * share * found).clamp(min=0)

    def exact(self, op: Operator) -> bool:
        """Whether ``interval`` of an affine op is exact over a box."""
        return True

    def terms(self, op: Operator) -> int:
        """How many products one output adds up, at most; 1 for a layer that only scales or moves values."""
        return 1

    def fan(self, op: Operator) -> int:
        """How many rows one number of ``adjoint`` adds up, at most; by default all of them."""
        return op.out_shape.numel()

    def terms_of(self, op: Operator, some: Tensor) -> Tensor | None:
        """How many products one output adds up, at most, where inputs are 0 but for ``some`` (B, *in), (B,); or None."""
        return None

    def fan_of(self, op: Operator, some: Tensor) -> Tensor | None:
        """How many rows a number of ``adjoint`` adds up, where those of outputs are 0 but for ``some`` (B, *out), (B,); or None."""
        return None

    def ulps(self, op: Operator) -> float | None:
        """By how many units in the last place (2 u times its size) a non-linear op's execution may miss its exact value.

        0 for an exact one; None, the default, where that is not known, so that certificates are at most ``real``.
        """
        return None

    def known(self, op: Operator, lower: Tensor, upper: Tensor) -> Tensor:
        """Where a non-linear op has bounds on [lower, upper] at all, (B, *in); by default everywhere."""
        return torch.ones_like(lower, dtype=torch.bool)

    def local_rows(self, op: Operator) -> tuple[Tensor, Tensor] | None:
        """Each output's few inputs and weights, indices (N, m) with -1 for padding and weights (N, m); None if many."""
        return None

    def window(self, op: Operator) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """(stride, pad), vertical and horizontal, of an affine op on images whose outputs see a window; None if not.

        An optional speed-up: with it rows of convolutions stay small. Such a rule also has ``pull_window``.
        """
        return None

    def pull_window(self, op: Operator, windows: Tensor) -> Tensor:
        """``adjoint`` without borders, for windows cut from the op's output, (B, K, C, h, w) -> (B, K, C', h', w')."""
        return self.adjoint(op, windows)

    def unit_windows(self, op: Operator, channel: Tensor, dtype: torch.dtype) -> Tensor:
        """The windows that outputs of the chosen channels see, (B, K) -> (B, K, C', h', w')."""
        unit = functional.one_hot(channel, op.out_shape[0]).to(dtype)
        return self.pull_window(op, unit[..., None, None])
