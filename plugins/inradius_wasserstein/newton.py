"""Newton's equations of the interior point, reduced to one positive definite matrix over the sources."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.panels import Panel, gram
from inradius_wasserstein.plans import Plans

Step = tuple[Tensor, Tensor, Tensor, Tensor]


@attrs.frozen(eq=False)
class Springs:
    """Moves that give way by ``weight`` D (B, C, S, m), and pixels that resist a change by ``stiffness`` h (B, C, n).

    inflow a = Σ_i D (B, C, n); damping 1 / (1 + h a) (B, C, n); damped (B, C, S, m): D times the damping where it ends;
    stiff (B, C, S, m): h a where it ends.
    """

    plans: Plans
    weight: Tensor
    stiffness: Tensor
    inflow: Tensor
    damping: Tensor
    damped: Tensor
    stiff: Tensor

    def flow(self, force: Tensor) -> Tensor:
        """D (f − h Σ_i D f / (1 + h a)): the mass moved by forces f when the pixels yield, (B, C, S, m) -> (B, C, S, m).

        Differences between the forces on a pixel come before sums: D is huge where a plan moves mass, and what f and the
        pixel's answer leave of each other is small.
        """
        plans, weight = self.plans, self.weight
        mean = plans.into(weight * force) / self.inflow
        away = force - plans.at(mean)
        rest = plans.at(self.stiffness * plans.into(weight * away))
        return self.damped * torch.addcmul(force - rest, self.stiff, away)


def springs(plans: Plans, weight: Tensor, stiffness: Tensor) -> Springs:
    """The springs of D (B, C, S, m) and h (B, C, n)."""
    inflow = plans.into(weight).clamp_min(1e-300)
    pull = stiffness * inflow
    damping = 1 / (1 + pull)
    return Springs(plans, weight, stiffness, inflow, damping, weight * plans.at(damping), plans.at(pull))


@attrs.frozen(eq=False)
class Newton:
    """The equations dP = D (e + dα + db − C dψ) with db = −h dz − k, for row prices α, pixel prices b and the price ψ.

    Eliminating dP and db leaves M dα = r + g dψ with M = diag(Σ_j D) − G diag(h / (1 + h a)) Gᵀ, where G holds D at (source,
    pixel), and one scalar equation for ψ.
    """

    springs: Springs
    factor: Tensor
    row: Tensor
    answer: Tensor
    slack: Tensor
    bend: Tensor

    def step(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor, refinements: int = 0) -> Step:
        """dP, dα, db, dψ for e = ``force``, k = ``offset``, row residuals ``rows`` and the budget's residual ``spare``."""
        cost = self.springs.plans.cost
        plan, source, pixel, price = self._once(force, offset, rows, spare)
        for _ in range(refinements):
            left = spare - (cost * plan).flatten(1).sum(1) + self.slack * price
            more = self._once(torch.zeros_like(force), torch.zeros_like(offset), rows - plan.sum(-1), left)
            plan, source, pixel, price = plan + more[0], source + more[1], pixel + more[2], price + more[3]
        return plan, source, pixel, price

    def _once(self, force: Tensor, offset: Tensor, rows: Tensor, spare: Tensor) -> Step:
        springs, plans = self.springs, self.springs.plans
        drag = springs.weight * plans.at(offset * springs.damping)
        pushed = springs.flow(force) - drag
        base = _solve(self.factor, rows - pushed.sum(-1))
        earned = (plans.cost * pushed).flatten(1).sum(1) + (self.row * base).flatten(1).sum(1)
        price = (earned - spare) / self.bend
        source = base + price[:, None, None] * self.answer
        force = force + source.unsqueeze(-1) - plans.cost * price[:, None, None, None]
        pixel = -(springs.stiffness * plans.into(springs.weight * force) + offset) * springs.damping
        return springs.flow(force) - drag, source, pixel, price


def newton(plans: Plans, parts: list[Panel], weight: Tensor, stiffness: Tensor, slack: Tensor) -> Newton:
    """The equations for D = ``weight`` (B, C, S, m), h = ``stiffness`` (B, C, n) and t / ψ = ``slack`` (B,).

    ``parts`` are the panels that M is added up in.
    """
    held = springs(plans, weight, stiffness)
    factor = _factor(held, parts)
    pulled = held.flow(plans.cost)
    row = pulled.sum(-1)
    answer = _solve(factor, row)
    bend = (plans.cost * pulled).flatten(1).sum(1) - (row * answer).flatten(1).sum(1)
    return Newton(held, factor, row, answer, slack, bend.clamp_min(0) + slack)


def _factor(held: Springs, parts: list[Panel]) -> Tensor:
    """The Cholesky factor of M, (B, C, S, S).

    M is a diagonally dominant M-matrix: its diagonal is added up from the other entries and the row sums Σ_j D / (1 + h a),
    without a cancellation.
    """
    matrix = gram(parts, held.weight, -held.stiffness * held.damping).tril_(-1)
    own = held.damped.sum(-1) - matrix.sum(-1) - matrix.sum(-2)
    matrix.diagonal(dim1=-2, dim2=-1).copy_(own + (held.plans.mass == 0))
    factor: Tensor = torch.linalg.cholesky_ex(matrix)[0]
    return factor


def _solve(factor: Tensor, right: Tensor) -> Tensor:
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
