"""Wasserstein balls of images as components, and the same balls with one radius for each example."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import InputError, PerExample, ThreatModel
from inradius.components.validators import as_float, as_floats, box, positive, radius
from inradius.sets.arithmetic.bits import stored
from inradius.sets.arithmetic.outward import above, raised_product, smallest
from inradius.sets.arithmetic.sums import total, upper
from inradius.sets.box import check_inside
from inradius.sets.examples import check_finite
from inradius_wasserstein.set.costs import Costs, as_costs, costs, is_symmetric, window_of
from inradius_wasserstein.set.moves import PixelMoves, any_moves, check_image, file_moves, window_costs, window_moves
from inradius_wasserstein.set.oracles import TransportBall
from inradius_wasserstein.set.referee import plan_constraints

if TYPE_CHECKING:
    import cvxpy


def _window(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % 2 == 0):
        raise ValueError(f"{field.name}={value!r} is not a window; allowed are odd integers ≥ 1, or None for any move")


def _one_of(*words: str) -> Any:
    def check(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
        if value not in words:
            raise ValueError(f"{field.name}={value!r} is not allowed; allowed are {' and '.join(map(repr, words))}")

    return check


def _capacity(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    box(instance, field, value)
    if isinstance(value, tuple) and value[0] != 0:
        raise ValueError(
            f"{field.name}={value!r} does not begin at 0; allowed is (0, high) for pixels of non-negative mass, or None"
        )


@attrs.frozen(kw_only=True)
class Wasserstein(TransportBall, ThreatModel):
    """{δ : x + δ = Pᵀ1 for a plan P ≥ 0 with P 1 = x and ⟨C, P⟩ ≤ eps · Σx}: mass moves between near pixels.

    Images have the shape (B, channels, H, W) and pixels ≥ 0, not normalised. Mass stays in its channel and within a
    ``kernel`` × ``kernel`` window of its pixel (None: anywhere). The channels share one budget. A unit of mass pays ‖i
    − j‖₂^``p`` for a move from pixel i to pixel j. ``cost`` replaces both ``kernel`` and ``p``. It is a window of
    costs, as a tuple of rows or an .npy file, or a file with a table (n, n) for all pairs of pixels, in rows of the
    image. The spec of such a set holds the hash of the file.
    The radius is the mean cost of a unit of the image's mass (``mass="unit"``) or the cost of the whole plan
    (``mass="absolute"``). With ``bounds=None`` a pixel may exceed 1, as is the convention of the literature; with (0,
    1) it may not. ``projection`` is the "exact" interior point, or the thesis's "sinkhorn", which is approximate and
    repaired into the set.
    Source: wong2019.
    """

    positional = ("eps",)
    # a projection solves a quadratic program for each image and step; a maximiser needs only a sort
    default_attacks: ClassVar[tuple[str, ...]] = ("fgsm", "frank_wolfe(steps=40, classes=4)")

    eps: float = attrs.field(validator=radius, converter=as_float)
    # Wong et al. 2019, sec. 4: 5 × 5 windows on CIFAR-10, and the Euclidean distance
    kernel: int | None = attrs.field(default=5, validator=_window)
    p: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    bounds: tuple[float, float] | None = attrs.field(default=None, validator=optional(_capacity), converter=as_floats)
    cost: Costs | str | None = attrs.field(default=None, validator=costs, converter=as_costs)
    mass: str = attrs.field(default="unit", validator=_one_of("unit", "absolute"))
    projection: str = attrs.field(default="exact", validator=_one_of("exact", "sinkhorn"))

    @cost.validator
    def _check_alone(self, _: object, value: object) -> None:
        if value is not None and (self.kernel, self.p) != (5, 1.0):
            raise ValueError(
                "cost=... replaces kernel and p, which were given too; allowed is to leave kernel and p out"
            )

    @property
    def radius(self) -> float:
        return self.eps

    @property
    def slow_projection(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return self.bounds is None

    @property
    def ball(self) -> "Wasserstein":
        return self

    @property
    def cap(self) -> float | None:
        """The largest value of a pixel; None without a limit."""
        return None if self.bounds is None else self.bounds[1]

    @property
    def symmetric(self) -> bool:
        return self.cost is None or is_symmetric(self.cost)

    @property
    def convention(self) -> str:
        """A sentence that says in which unit the radius is measured, because papers differ."""
        radius = "per unit of the image's mass" if self.mass == "unit" else "in all"
        if self.cost is not None:
            price = "at the costs given"
        else:
            reach = (
                "to any pixel" if self.kernel is None else f"within {self.kernel} × {self.kernel} pixels around its own"
            )
            price = f"{reach} at ‖i − j‖₂{f'^{self.p:g}' if self.p != 1 else ''} for a unit of mass"
        cap = "pixels may exceed 1" if self.cap is None else f"no pixel exceeds {self.cap:g}"
        return f"mass moves {price}, at a cost of eps {radius}, channels sharing the budget; {cap}"

    def moves(self, x: Tensor) -> PixelMoves:
        """The moves within one channel of images like x (B, channels, H, W)."""
        height, width = x.shape[-2:]
        window = window_costs(self.kernel, self.p) if self.kernel else None
        if self.cost is not None:
            window = window_of(self.cost, height * width)
        if window is not None:
            return window_moves(window, height, width, x.device, x.dtype)
        if isinstance(self.cost, str):
            return file_moves(self.cost, x.device, x.dtype)
        return any_moves(self.p, height, width, x.device, x.dtype)

    def budgets(self, x: Tensor) -> Tensor:
        """The largest cost of each example's plan, (B,)."""
        mass = total(x.flatten(1)) if self.mass == "unit" else torch.ones_like(x[:, 0, 0, 0])
        return self.eps * mass

    def outer_budgets(self, x: Tensor) -> Tensor:
        return raised_product(self.outer_mass(x), self.eps)

    def outer_mass(self, x: Tensor) -> Tensor:
        """The factor of the radius, rounded up by its own rounding and by that of the costs in x's type, (B,)."""
        rows = x.flatten(1)
        if self.mass == "absolute":
            return upper(torch.ones_like(rows[:, 0]), 1)
        # one unit for each cost, because a sum of subnormal numbers may be taken for 0
        mass = upper(total(rows), rows.shape[1]) + 2 * rows.shape[1] * smallest(x.dtype)
        return torch.where(stored(rows).any(1), mass, 0)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def per_example(self, factors: Tensor) -> "WassersteinPerExample":
        return WassersteinPerExample(self, factors)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        """The constraints of δ for one image, with one plan for each channel in extra variables."""
        image = x.detach().cpu().double()
        return plan_constraints(delta, image, self.moves(image[None]), float(self.budgets(image[None])), self.cap)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_image(x, self)
        check_inside(x, self.bounds, self)


class WassersteinPerExample(TransportBall, PerExample):
    """A Wasserstein ball with one radius for each example; all examples are computed at once."""

    def __init__(self, ball: Wasserstein, factors: Tensor) -> None:
        super().__init__(ball, factors)
        self._ball = ball

    @property
    def ball(self) -> Wasserstein:
        return self._ball

    def budgets(self, x: Tensor) -> Tensor:
        if len(x) != len(self.factors):
            raise InputError(f"{len(self.factors)} radii were given for {len(x)} examples; allowed is one each")
        return self._ball.budgets(x) * self.factors.to(x)

    def outer_budgets(self, x: Tensor) -> Tensor:
        eps = [above(factor * self._ball.eps, x.dtype) for factor in self.factors.double().tolist()]
        return raised_product(self._ball.outer_mass(x), torch.tensor(eps, dtype=x.dtype, device=x.device))
