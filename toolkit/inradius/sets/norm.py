"""The norm in which a set measures perturbations."""

import attrs
import torch
from torch import Tensor


@attrs.frozen
class Norm:
    """The ℓp norm of one order, 1 ≤ order ≤ ∞, over all numbers of a perturbation."""

    order: float

    def __str__(self) -> str:
        return "ℓ∞" if self.order == torch.inf else f"ℓ{self.order:g}"

    def length(self, delta: Tensor) -> Tensor:
        """The norm of each perturbation, (B, *S) -> (B,)."""
        found: Tensor = torch.linalg.vector_norm(delta.flatten(1), ord=self.order, dim=1)
        return found


LINF, L2, L1 = Norm(torch.inf), Norm(2.0), Norm(1.0)
