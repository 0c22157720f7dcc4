"""An attack for the examples that gradients cannot lead away from."""

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, Margin, Observer
from inradius.attacks.ascent import gradient_of
from inradius.attacks.composite import MemberRun, WorstAnswers, WrappingAttack


@attrs.frozen(kw_only=True)
class IfZeroGradient(WrappingAttack):
    """The answer of an attack for the examples at which the margin's gradient is zero; δ = 0 for all others.

    A gradient of zero at x stops every gradient attack there, and is no evidence of robustness: quantisers, saturation and
    dead units cause it. An attack that needs no gradient is not stopped.
    Source: athalye2018.
    """

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        worst = WorstAnswers(batch, Margin(), survivors=True, clean=False, left=_flat(batch), observe=observe)
        return worst.run([MemberRun(attack=self.attack, branch=0)])


def _flat(part: AttackBatch) -> Tensor:
    """True where the gradient is zero at x, (n,)."""
    point = torch.zeros_like(part.x).requires_grad_()
    with torch.enable_grad():
        _, value = part.score(point, Margin())
    return (gradient_of(value, point) == 0).flatten(1).all(1)
