"""The Frank-Wolfe method: ascent without a projection."""

import attrs
from torch import Tensor

from inradius import AttackBatch, CrossEntropy, Objective, Observer, UnsupportedError
from inradius.attacks.ascent import Ascent
from inradius.attacks.maximising_attack import MaximisingAttack
from inradius.components.validators import component, count, flag, integer
from inradius_gradient.target_classes import target_classes


@attrs.frozen(kw_only=True)
class FrankWolfe(MaximisingAttack):
    """Maximises the objective over a convex Δ(x) by δ ← (1 − γ) δ + γ linear_max(gradient), with γ = 2 / (t + 2).

    Every iterate is a mean of points of Δ(x), and so lies in it; the best one is returned. An example is attacked until an
    iterate is misclassified, and keeps that iterate; with ``keep_maximising`` every step is taken and the largest
    objective counts alone. The first run begins at δ = 0 or at the ``start`` of the call, projected; later runs begin at
    random and are for the examples that are left. With ``classes`` the first run is one of ``steps`` steps for each of the
    wrong classes that look best at x, after a gradient for every class: greedy steps along the objective rarely leave the
    class they begin with. Raises ``UnsupportedError`` for a set that is not convex.
    Source: jaggi2013, chen2020.
    """

    # half of pgd's: the first step lies on the boundary already
    steps: int = attrs.field(default=20, validator=count)
    restarts: int = attrs.field(default=1, validator=count)
    objective: Objective = attrs.field(factory=CrossEntropy, validator=component(Objective))
    keep_maximising: bool = attrs.field(default=False, validator=flag)
    classes: int = attrs.field(default=0, validator=integer)

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        if not batch.threat.convex:
            raise UnsupportedError(
                f"{self} was given {batch.threat}, which is not convex, so that means of its points leave it; "
                "allowed are convex sets, for instance each part of a union by itself"
            )
        ascent = Ascent(batch, self.objective, keep_maximising=self.keep_maximising, observe=observe)
        first = batch.first_point(random=False)
        if not self.classes or batch.goal is not None:
            return ascent.climb(first, restarts=self.restarts, steps=self.steps, move=_move)
        ascent.pursue(first, target_classes(batch, self.classes), steps=self.steps, move=_move)
        return ascent.climb(None, restarts=self.restarts - 1, steps=self.steps, move=_move)


def _move(step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
    # Jaggi 2013, algorithm 1: the first step, γ = 1, forgets the start
    return delta + 2 / (step + 2) * (part.threat.linear_max(gradient, part.x) - delta)
