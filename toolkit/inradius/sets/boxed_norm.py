"""The ball of a norm within the box of valid inputs, from the norm alone."""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor

from inradius.sets.arithmetic.outward import smallest
from inradius.sets.boxed import BoxedSet


@attrs.frozen(kw_only=True)
class BoxedNorm(BoxedSet, ABC):
    """{δ : ‖δ‖ ≤ ``eps``, x + δ in ``bounds``} for a norm of one's own, from its value, its dual norm and a projection.

    A subclass gives ``length``, ``dual_length`` and ``project_unboxed``. The maximiser is the gradient of the dual norm,
    by autograd. Both lengths count as computed with a relative error of (n + 16) units in the last place for n numbers, as sums of
    terms ≥ 0 are.
    """

    symmetric = True

    @abstractmethod
    def length(self, delta: Tensor) -> Tensor:
        """The norm ‖δ‖, (B, *S) -> (B,)."""

    @abstractmethod
    def dual_length(self, c: Tensor) -> Tensor:
        """The dual norm max {⟨c, δ⟩ : ‖δ‖ ≤ 1}, in functions that autograd knows, (B, *S) -> (B,)."""

    def linear_max_unboxed(self, c: Tensor, x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = c.detach().clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.dual_length(leaf).sum(), leaf)
        return self.eps * slope.nan_to_num(nan=0.0)

    def gauge_unboxed(self, delta: Tensor, x: Tensor) -> Tensor:
        length = self.length(delta)
        return torch.where(length == 0, length, length / self.eps)

    def support_unboxed(self, c: Tensor, x: Tensor) -> Tensor:
        info, size = torch.finfo(c.dtype), c[0].numel()
        most = self.eps * self.dual_length(c)
        lost = 4 * (self.eps + 1) * (size + 1) * smallest(c.dtype)
        return torch.where((c != 0).flatten(1).any(1), most * (1 + (size + 20) * info.eps) + lost, 0 * most)
