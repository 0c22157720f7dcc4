"""The questions that attacks and certifiers ask a set, and answers that a set need not give itself."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.rng import ExampleRNG
from inradius.sets.affine_operator import AffineOperator
from inradius.sets.arithmetic.outward import raised_sum
from inradius.sets.arithmetic.pairing import dual_pairing
from inradius.sets.box import Box, room
from inradius.sets.examples import check_finite, expand
from inradius.sets.norm import Norm

if TYPE_CHECKING:
    import cvxpy

# how many numbers a block of support rows may hold at once
_BLOCK = 1 << 22


class Oracles(ABC):
    """The questions that attacks and certifiers ask a set. ``B`` batch, ``*S`` input shape, ``K`` directions.

    Certificates rest on ``support``, ``support_bound``, ``span``, ``hull``, ``bound_affine`` and ``sketch``. Their answers are
    bounds in exact arithmetic: of the set that x, directions, radius and box define as the numbers that they are, each kept in its
    own type (float32, float64; shorter ones are widened first). Rounding is on the safe side, and so is underflow, although kernels
    may take subnormal numbers for 0, going in and coming out. Where numbers are too large for their type a bound is infinite;
    none is NaN. Inputs are those that ``check_inputs`` lets pass. An input that is beyond the box has no room on that side, and
    δ = 0 is a member.
    """

    @property
    @abstractmethod
    def convex(self) -> bool:
        """True where every Δ(x) is convex."""

    @property
    def symmetric(self) -> bool:
        """True where δ ∈ Δ(x) implies −δ ∈ Δ(x+δ)."""
        return False

    @property
    def convention(self) -> str:
        """The meaning of the radius, in a sentence for reports, for a union that of each part; empty where the name says it."""
        told = (f"{part}: {part.convention}" for part in self.members() if part is not self and part.convention)
        return "; ".join(told)

    @property
    def tight(self) -> bool:
        """True where ``support`` is exact; the default ``support`` needs ``linear_max`` to be exact, and so needs this."""
        return False

    @property
    def is_box(self) -> bool:
        """True where every Δ(x) is the box that ``hull`` gives, so that its oracles are products of coordinates."""
        return False

    @property
    def bounds(self) -> Box:
        """The box that x + δ is kept in, (low, high); None without one."""
        return None

    @property
    def norm(self) -> Norm | None:
        """The norm of a ball: every Δ(x) is {δ : norm(δ) ≤ radius, x + δ in ``bounds``}; None for any other set."""
        return None

    @property
    def measure(self) -> Norm | None:
        """The norm of a ball in a box: every Δ(x) is {δ : norm(δ) ≤ radius, δ in ``room(x)``}; None for any other set."""
        return self.norm

    def room(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the most that each coordinate of δ may be at any radius, two of (B, *S); by default within ``bounds``."""
        return room(x, self.bounds)

    @property
    def radius(self) -> float | Tensor | None:
        """The radius, one for all examples or one for each, (B,); None where a set has none, or several."""
        return None

    @property
    def slow_projection(self) -> bool:
        """True where ``project`` costs much more than ``linear_max``, so that suites choose attacks that do without it."""
        return False

    def scaled(self, factor: float) -> "Oracles":
        """The same set at ``factor`` times its radius. Raises ``UnsupportedError`` for oracles that know no other radius."""
        raise UnsupportedError(
            f"{self} has no other radius; allowed are threat models, and those with a radius per example"
        )

    def per_example(self, factors: Tensor) -> "Oracles":
        """The same set with a radius of its own for each example, (B,) factors. Raises ``UnsupportedError`` as ``scaled`` does."""
        raise UnsupportedError(
            f"{self} has no other radius; allowed are threat models, and those with a radius per example"
        )

    @abstractmethod
    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        """A Euclidean-nearest point of Δ(x), (B, *S)."""

    @abstractmethod
    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        """A maximiser of ⟨c, δ⟩ over Δ(x), (B, *S)."""

    @abstractmethod
    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        """inf{t ≥ 0 : δ ∈ scaled(t)(x)}, the share of the radius used; hard constraints are left to ``violation``, (B,)."""

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        """Distance to the hard constraints (box, mass, reach) after snapping rounding error; 0 where they hold, (B,)."""
        return delta.new_zeros(len(delta))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        """An upper bound on max ⟨c, δ⟩ over Δ(x), where ``tight`` exact up to rounding, (B, K, *S) -> (B, K).

        Never below the maximum in exact arithmetic for finite rows c as they are given, of any size; 0 where every product is.
        The gradient in ``c`` is the maximiser, and what rounding adds has none. The default is ⟨c, δ⟩ at δ = ``linear_max`` with
        the error of that sum: it trusts ``linear_max`` to be a maximiser up to 2 units in the last place of each coordinate.
        Raises ``UnsupportedError`` where ``linear_max`` is not declared exact.
        """
        if not self.tight:
            raise UnsupportedError(
                f"{self} has no sound support function: its linear_max is not declared exact (tight), "
                "so it must override support with a dual value"
            )
        return dual_pairing(c, self._maximisers(c.detach(), x))

    def _maximisers(self, c: Tensor, x: Tensor) -> Tensor:
        count = c.shape[1]
        spread = x.repeat_interleave(count, dim=0)
        return self._repeated(count).linear_max(c.flatten(0, 1), spread).view_as(c)

    def _repeated(self, count: int) -> "Oracles":
        """The oracles for a batch in which each example stands ``count`` times in a row."""
        return self

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        """A cheaper upper bound on ``support``, for the thousands of directions of inner layers, (B, K, *S) -> (B, K)."""
        return self.support(c, x)

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """A lower and an upper bound on ⟨c, δ⟩ over Δ(x), two of (B, K); by default through ``support_bound``.

        Outward in exact arithmetic, as ``support`` is.
        """
        return -self.support_bound(-c, x), self.support_bound(c, x)

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """The step of steepest ascent from x + δ, as long as the radius, (B, *S); PGD takes a share of it and projects.

        It may leave the set. Its projection from δ = 0 is ``linear_max`` wherever the steepest direction is unique.
        """
        return self.linear_max(gradient, x + delta)

    @property
    def sparse(self) -> bool:
        """True where steps of steepest ascent change few coordinates, and ``sparse_steepest`` says how many."""
        return False

    def sparse_steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, count: Tensor) -> Tensor:
        """A step of steepest ascent spread over the ``count`` (B,) best coordinates, (B, *S), where the set is ``sparse``."""
        raise UnsupportedError(f"{self} is not sparse: its steps of steepest ascent change many coordinates")

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """A random point of Δ(x), (B, *S); by default the maximiser of a random direction, shrunk at random."""
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        vertex = self.linear_max(rng.normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device), x)
        return self.project(vertex * expand(rng.uniform(dtype=x.dtype).to(x.device), vertex), x)

    def uniform(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        """A point drawn uniformly in the ball and then cut by the box, (B, *S), where the set knows how; else as ``sample``."""
        return self.sample(x, rng=rng)

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of op(x + δ) over Δ(x), two of (B, *out); by default each row through ``span``.

        The op's own answers (its value at x, intervals, rows, weights) count as exact: who asks adds their rounding. All else is
        outward in exact arithmetic: norms of rows, what they are multiplied with, sums, and the corners of a box x + δ.
        """
        center = op(x).flatten(1)
        size = center.shape[1]
        step = max(1, _BLOCK // max(1, x.numel()))
        parts = [self._row_bounds(op, x, first, min(first + step, size)) for first in range(0, size, step)]
        down, up = (torch.cat(side, dim=1) for side in zip(*parts, strict=True))
        shape = (len(x), *op.out_shape)
        return -raised_sum(-center, -down).view(shape), raised_sum(center, up).view(shape)

    def _row_bounds(self, op: AffineOperator, x: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(first, last, device=x.device).expand(len(x), -1)
        rows = op.unit_rows(index, x.dtype)
        return self.span(rows, x)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Elementwise lower and upper bounds of δ over Δ(x), rounded outward, two of (B, *S); by default through ``span``."""
        size = x[0].numel()
        step = max(1, _BLOCK // max(1, x.numel()))
        down, up = [], []
        for first in range(0, size, step):
            rows = torch.zeros(min(step, size - first), size, dtype=x.dtype, device=x.device)
            rows[:, first : first + step].fill_diagonal_(1)
            c = rows.view(1, -1, *x.shape[1:]).expand(len(x), *(-1 for _ in x.shape))
            low, high = self.span(c, x)
            down.append(low)
            up.append(high)
        return torch.cat(down, dim=1).view_as(x), torch.cat(up, dim=1).view_as(x)

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float] | None:
        """(m, w, q) with max ⟨c, δ⟩ ≤ ⟨c, m⟩ + ‖w·c‖_q in exact arithmetic, w ≥ 0 rounded up for the m as it is; None without such.

        For random projections.
        """
        return None

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        """δ ∈ Δ(x) as cvxpy constraints on a variable of one example's flattened size; x is one example, (*S)."""
        raise UnsupportedError(f"{self} has no description in cvxpy; a set gets one by overriding constraints")

    def check_inputs(self, x: Tensor) -> None:
        """Raises ``InputError`` where ``x`` cannot be the centre of this set."""
        check_finite(x)

    @abstractmethod
    def select(self, index: Tensor) -> "Oracles":
        """The oracles for a part of the batch (boolean mask or indices)."""

    def at(self, index: Tensor, x: Tensor) -> "Oracles":
        """The oracles for the examples x (B, *S) with these numbers in the data, (B,); most sets are the same for every example.

        Attacks, certifiers and the referee ask for them, so that a set may have what differs from example to example.
        """
        return self

    @abstractmethod
    def members(self) -> "tuple[Oracles, ...]":
        """The members of a union; any other set is its own only part."""

    def convex_parts(self, x: Tensor) -> "tuple[Oracles, ...] | None":
        """Convex sets whose union contains Δ(x) for one example x (1, *S), up to rounding; None where there is no short list."""
        if self.convex:
            return (self,)
        members = self.members()
        if len(members) == 1:
            # the set itself, or another form of it
            return members if members[0].convex else None
        found = [member.convex_parts(x) for member in members]
        return None if None in found else tuple(part for parts in found if parts is not None for part in parts)

    @final
    def contains(self, delta: Tensor, x: Tensor, *, tol: float = 1e-5) -> Tensor:
        """True where δ ∈ Δ(x): gauge ≤ 1 + tol and violation ≤ tol, of a union those of one of its parts, (B,)."""
        inside = [(part.gauge(delta, x) <= 1 + tol) & (part.violation(delta, x) <= tol) for part in self.members()]
        return torch.stack(inside).any(0)
