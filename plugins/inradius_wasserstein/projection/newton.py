"""Newton's equations of the interior point, reduced to one positive definite matrix over the sources."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.plans import Plans
from inradius_wasserstein.projection.band import BandFactor, WholeFactor
from inradius_wasserstein.projection.blocked_gram import Panels
from inradius_wasserstein.projection.pairs import Pairs


@attrs.frozen(eq=False)
class Springs:
    """Moves that give way by ``weight`` D (B, C, S, m), and pixels that resist a change by ``stiffness`` h (B, C, n).

    inflow a = Σ_i D (B, C, n); damping 1 / (1 + h a) (B, C, n). ``careful``: at the end of the path D is huge where a plan
    moves mass, and what a force and the pixel's answer leave of each other is small.
    """

    plans: Plans
    weight: Tensor
    stiffness: Tensor
    inflow: Tensor
    damping: Tensor
    careful: bool

    def flow(self, force: Tensor) -> Tensor:
        """D (f − h Σ_i D f / (1 + h a)): the mass moved by forces f when the pixels yield, (B, C, S, m) -> (B, C, S, m)."""
        plans, weight = self.plans, self.weight
        arriving = plans.into(weight * force)
        if not self.careful:
            return weight * (force - plans.at(self.stiffness * self.damping * arriving))
        # differences between the forces on a pixel come before sums
        away = force - plans.at(arriving / self.inflow)
        rest = plans.at(self.stiffness * plans.into(weight * away))
        stiff = plans.at(self.stiffness * self.inflow)
        return weight * plans.at(self.damping) * torch.addcmul(force - rest, stiff, away)

    def answer(self, force: Tensor, offset: Tensor) -> Tensor:
        """−(h Σ_i D f + k) / (1 + h a), the pixels' answer to forces f and to k = ``offset``, (B, C, n)."""
        return -(self.stiffness * self.plans.into(self.weight * force) + offset) * self.damping


@attrs.frozen(eq=False)
class Step:
    """dP (B, C, S, m), dα (B, C, S), db (B, C, n), dψ (B,), and what a move gains by the prices, dα + db − C dψ."""

    plan: Tensor
    source: Tensor
    pixel: Tensor
    price: Tensor
    gain: Tensor

    def plus(self, other: "Step") -> "Step":
        """The sum of two steps."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False)
        return Step(*(a + b for a, b in zip(mine, theirs, strict=True)))


@attrs.frozen(eq=False)
class Newton:
    """The equations dP = D (e + dα + db − C dψ) with db = −h dz − k, for row prices α, pixel prices b and the price ψ.

    Eliminating dP and db leaves M dα = r + g dψ with M = diag(Σ_j D) − G diag(h / (1 + h a)) Gᵀ, where G holds D at (source,
    pixel), and one scalar equation for ψ.
    """

    springs: Springs
    factor: WholeFactor | BandFactor
    row: Tensor
    answer: Tensor
    slack: Tensor
    bend: Tensor

    def step(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor, *, rounds: int = 0) -> Step:
        """The step for e = ``force``, k = ``offset``, row residuals ``rows`` and the budget's residual ``spare``.

        ``rounds`` of correction, as its residual can be computed to more digits than it has.
        """
        cost = self.springs.plans.cost
        step = self._once(force, offset, rows, spare)
        for _ in range(rounds):
            left = spare - (cost * step.plan).flatten(1).sum(1) + self.slack * step.price
            none = torch.zeros_like(offset)
            step = step.plus(self._once(torch.zeros_like(force), none, rows - step.plan.sum(-1), left))
        return step

    def _once(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor) -> Step:
        held, plans = self.springs, self.springs.plans
        drag = plans.at(offset * held.damping) * held.weight if bool(offset.any()) else torch.zeros_like(force[:1])
        pushed = held.flow(force) - drag
        base = _solve(self.factor, rows - pushed.sum(-1))
        earned = (plans.cost * pushed).flatten(1).sum(1) + (self.row * base).flatten(1).sum(1)
        price = (earned - spare) / self.bend
        source = base + price[:, None, None] * self.answer
        gain = source.unsqueeze(-1) - plans.cost * price[:, None, None, None]
        force = force + gain
        pixel = held.answer(force, offset)
        back = plans.at(pixel)
        plan = held.flow(force) - drag if held.careful else held.weight * (force + back)
        return Step(plan, source, pixel, price, gain + back)


def newton(
    plans: Plans, parts: Panels | Pairs, weight: Tensor, stiffness: Tensor, slack: Tensor, *, careful: bool
) -> Newton:
    """The equations for D = ``weight`` (B, C, S, m), h = ``stiffness`` (B, C, n) and t / ψ = ``slack`` (B,).

    ``parts`` add M up.
    """
    inflow = plans.into(weight).clamp_min(1e-30)
    held = Springs(plans, weight, stiffness, inflow, 1 / (1 + stiffness * inflow), careful)
    factor = _factor(held, parts)
    pulled = held.flow(plans.cost)
    row = pulled.sum(-1)
    answer = _solve(factor, row)
    bend = (plans.cost * pulled).flatten(1).sum(1) - (row * answer).flatten(1).sum(1)
    return Newton(held, factor, row, answer, slack, bend.clamp_min(0) + slack)


def _factor(held: Springs, parts: Panels | Pairs) -> WholeFactor | BandFactor:
    """The Cholesky factor of M, one matrix for each example and channel.

    M is a diagonally dominant M-matrix: its diagonal is added up from the other entries and the row sums Σ_j D / (1 + h a),
    without a cancellation.
    """
    apart = parts.gram(held.plans, held.weight, -held.stiffness * held.damping)
    own = (held.weight * held.plans.at(held.damping)).sum(-1) + (held.plans.mass == 0)
    return apart.cholesky(own.flatten(0, 1) - apart.sums())


def _solve(factor: WholeFactor | BandFactor, right: Tensor) -> Tensor:
    return factor.solve(right.flatten(0, 1)).view(right.shape)
