"""Newton's equations of the interior point, reduced to one positive definite matrix over the sources."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.plans.layout import PlanLayout
from inradius_wasserstein.projection.band import BandFactor, WholeFactor
from inradius_wasserstein.projection.blocked_gram import BlockedGram
from inradius_wasserstein.projection.move_pairs import MovePairs
from inradius_wasserstein.projection.scaled_problem import per_example


@attrs.frozen(eq=False)
class NewtonTerms:
    """The coefficients of Newton's equations for moves and pixels, and the reduced system that they define.

    weight: D (B, C, S, m) of the moves; stiffness: h (B, C, n) of the pixels; inflow: a = Σ_i D (B, C, n); damping: 1 /
    (1 + h a) (B, C, n). ``careful`` is True at the end of the path, where D is huge for moves with mass and the
    difference between a right side and the pixel's answer is small.
    """

    layout: PlanLayout
    weight: Tensor
    stiffness: Tensor
    inflow: Tensor
    damping: Tensor
    careful: bool

    def flow(self, force: Tensor) -> Tensor:
        """D (f − h Σ_i D f / (1 + h a)), the mass moved by right sides f when the pixels answer, (B, C, S, m) -> (B, C, S, m)."""
        layout, weight = self.layout, self.weight
        arriving = layout.into(weight * force)
        if not self.careful:
            return weight * (force - layout.at(self.stiffness * self.damping * arriving))
        # differences between the right sides at a pixel are taken before sums
        away = force - layout.at(arriving / self.inflow)
        rest = layout.at(self.stiffness * layout.into(weight * away))
        stiff = layout.at(self.stiffness * self.inflow)
        return weight * layout.at(self.damping) * torch.addcmul(force - rest, stiff, away)

    def answer(self, force: Tensor, offset: Tensor) -> Tensor:
        """−(h Σ_i D f + k) / (1 + h a), the pixels' answer to right sides f and to k = ``offset``, (B, C, n)."""
        return -(self.stiffness * self.layout.into(self.weight * force) + offset) * self.damping


@attrs.frozen(eq=False)
class NewtonStep:
    """A step: dP (B, C, S, m), dα (B, C, S), db (B, C, n), dψ (B,), and the gain of each move by the prices, dα + db − C dψ."""

    plan: Tensor
    source: Tensor
    pixel: Tensor
    price: Tensor
    gain: Tensor

    def plus(self, other: "NewtonStep") -> "NewtonStep":
        """The sum of two steps."""
        mine, theirs = attrs.astuple(self, recurse=False), attrs.astuple(other, recurse=False)
        return NewtonStep(*(a + b for a, b in zip(mine, theirs, strict=True)))


@attrs.frozen(eq=False)
class Newton:
    """The equations dP = D (e + dα + db − C dψ) with db = −h dz − k, for row prices α, pixel prices b and the price ψ.

    Eliminating dP and db leaves M dα = r + g dψ with M = diag(Σ_j D) − G diag(h / (1 + h a)) Gᵀ, where G holds D at
    (source, pixel), and one scalar equation for ψ.
    """

    springs: NewtonTerms
    factor: WholeFactor | BandFactor
    row: Tensor
    answer: Tensor
    slack: Tensor
    bend: Tensor

    def step(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor, *, rounds: int = 0) -> NewtonStep:
        """The step for e = ``force``, k = ``offset``, row residuals ``rows`` and the budget's residual ``spare``.

        It is corrected in ``rounds``, because its residual is known to more digits than the step.
        """
        cost = self.springs.layout.cost
        step = self._once(force, offset, rows, spare)
        for _ in range(rounds):
            left = spare - per_example(cost * step.plan) + self.slack * step.price
            none = torch.zeros_like(offset)
            step = step.plus(self._once(torch.zeros_like(force), none, rows - step.plan.sum(-1), left))
        return step

    def _once(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor) -> NewtonStep:
        terms, layout = self.springs, self.springs.layout
        drag = layout.at(offset * terms.damping) * terms.weight if bool(offset.any()) else torch.zeros_like(force[:1])
        pushed = terms.flow(force) - drag
        base = _solve(self.factor, rows - pushed.sum(-1))
        earned = per_example(layout.cost * pushed) + per_example(self.row * base)
        price = (earned - spare) / self.bend
        source = base + price[:, None, None] * self.answer
        gain = source.unsqueeze(-1) - layout.cost * price[:, None, None, None]
        force = force + gain
        pixel = terms.answer(force, offset)
        back = layout.at(pixel)
        plan = terms.flow(force) - drag if terms.careful else terms.weight * (force + back)
        return NewtonStep(plan, source, pixel, price, gain + back)


def newton(
    layout: PlanLayout,
    gram: BlockedGram | MovePairs,
    weight: Tensor,
    stiffness: Tensor,
    slack: Tensor,
    *,
    careful: bool,
) -> Newton:
    """The equations for D = ``weight`` (B, C, S, m), h = ``stiffness`` (B, C, n) and t / ψ = ``slack`` (B,); ``gram`` adds M up."""
    inflow = layout.into(weight).clamp_min(1e-30)
    terms = NewtonTerms(layout, weight, stiffness, inflow, 1 / (1 + stiffness * inflow), careful)
    factor = _factor(terms, gram)
    pulled = terms.flow(layout.cost)
    row = pulled.sum(-1)
    answer = _solve(factor, row)
    bend = per_example(layout.cost * pulled) - per_example(row * answer)
    return Newton(terms, factor, row, answer, slack, bend.clamp_min(0) + slack)


def _factor(terms: NewtonTerms, gram: BlockedGram | MovePairs) -> WholeFactor | BandFactor:
    """The Cholesky factor of M, one matrix for each example and channel.

    M is a diagonally dominant M-matrix. Its diagonal is the sum of the other entries and of the row sums Σ_j D / (1 + h
    a), which avoids cancellation.
    """
    apart = gram.matrices(terms.layout, terms.weight, -terms.stiffness * terms.damping)
    own = (terms.weight * terms.layout.at(terms.damping)).sum(-1) + (terms.layout.mass == 0)
    return apart.cholesky(own.flatten(0, 1) - apart.sums())


def _solve(factor: WholeFactor | BandFactor, right: Tensor) -> Tensor:
    return factor.solve(right.flatten(0, 1)).view(right.shape)
