"""Shifts of an input along a few directions: of its colours, its brightness, its lighting."""

from typing import TYPE_CHECKING, Any, Self

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from inradius import ExampleRNG, ThreatModel
from inradius.components.validators import as_float, radius
from inradius.sets.arithmetic.answers import rows_of, value
from inradius.sets.arithmetic.bits import power, stored
from inradius.sets.arithmetic.outward import above, raised_product, smallest
from inradius.sets.arithmetic.precision import toward_zero, upward, working
from inradius.sets.arithmetic.products import Rows
from inradius.sets.arithmetic.rooms import outer_room
from inradius.sets.arithmetic.sides import row_box
from inradius.sets.arithmetic.sums import total, upper
from inradius.sets.box import Box, check_inside, corner, excess, room
from inradius.sets.examples import check_finite
from inradius.sets.limits import Limits, as_limits, box_of, limits
from inradius.sets.numbers import load, reference
from inradius_sets.bases import NAMES, check_orthogonal, directions, disjoint

if TYPE_CHECKING:
    import cvxpy

# halvings of the bracket around the multiplier of the Euclidean norm, to the last bit of float64
_HALVINGS = 128


def _as_basis(value: object) -> object:
    return reference(value) if isinstance(value, str) and value not in NAMES else value


def _basis(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed are {', '.join(NAMES)} and the name of a .npy file"
        )
    if value not in NAMES:
        check_orthogonal(value)


@attrs.frozen(kw_only=True)
class Affine(ThreatModel):
    """{δ = Σ zⱼ aⱼ : ‖z‖ ≤ eps, x + δ in ``bounds``}: shifts along r directions aⱼ, which are orthogonal to each other.

    ``basis``: "colour" shifts each channel by a constant of its own, "brightness" all of them by one, "ramps" adds light
    that grows from −z to z down and across the image; or the name of a ``.npy`` file with an array (r, *S). ``order`` of
    the norm of z is "inf" (each |zⱼ| ≤ eps) or "2"; the radius is in units of z, those of the inputs for the named directions.

    With ``bounds=None`` every oracle is exact. The box (order "inf", directions that share no pixel) is kept exactly too,
    only that ``support`` is rounded up further than a tight one; mind that a black pixel lets nothing grow darker and a
    white one nothing lighter. ``intersection`` joins other directions with a box.
    """

    positional = ("basis", "eps")

    basis: str = attrs.field(validator=_basis, converter=_as_basis)
    eps: float = attrs.field(validator=radius, converter=as_float)
    order: str = attrs.field(default="inf", validator=in_(("inf", "2")))
    valid: Limits = attrs.field(default=None, alias="bounds", validator=limits, converter=as_limits)

    def __attrs_post_init__(self) -> None:
        if self.valid is not None and (self.order != "inf" or self.basis == "ramps" or self._overlaps()):
            raise ValueError(
                f"bounds={self.valid} is not allowed for {self.basis!r} with order={self.order!r}; allowed are order='inf' and "
                "directions that share no pixel, or intersection(affine(...), box(lo=-1, hi=1))"
            )

    @property
    def bounds(self) -> Box:
        return box_of(self.valid)

    @property
    def radius(self) -> float:
        return self.eps

    @property
    def convex(self) -> bool:
        return True

    @property
    def symmetric(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return self.valid is None

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            rows = self._rows(x)
            pairing, squares = delta.flatten(1).to(rows) @ rows.T, rows.square().sum(1)
            if self.order == "2":
                return self._at(_in_ball(pairing, squares, self.eps), delta, x)
            low, high = self._limits(x, rows)
            return self._at(torch.clamp(pairing / squares, low[:, 0], high[:, 0]), delta, x)

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self._at(self._farthest(c, x, *self._limits(x, self._rows(x))), c, x)

    def steepest(self, gradient: Tensor, x: Tensor, delta: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        # the box is left to the projection: a share of a step that it cuts would creep towards the bound
        with torch.no_grad():
            side = self._rows(x).new_full((1, 1, 1), self.eps)
            return self._at(self._farthest(gradient, x, -side, side), gradient, x)

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        rng = rng or ExampleRNG(0, torch.arange(len(x), device=x.device))
        rows = self._rows(x)
        # beyond the radius for a fifth of the coefficients
        shift = 2.5 * rng.uniform((len(rows),), dtype=rows.dtype).to(rows) - 1.25
        return self.project(self._at(self.eps * shift, x, x), x)

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        rows, dtype = self._rows(x), working(torch.promote_types(c.dtype, x.dtype))
        low, high = self._outer_limits(x, rows)
        low, high, basis = -upward(-low, dtype), upward(high, dtype), Rows(rows, dtype)

        def most(c: Tensor, low: Tensor, high: Tensor, *, slope: bool) -> tuple[Tensor, ...]:
            pairing, error = basis.paired(c)
            bound = self._most(pairing, error, low, high)
            return (bound, self._shift(pairing, error, low, high) @ rows.to(dtype)) if slope else (bound,)

        return value(most, c, low, high)

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        shift = self._coefficients(delta, x)
        length = shift.abs().amax(1) if self.order == "inf" else torch.linalg.vector_norm(shift, dim=1)
        at_zero = torch.where((delta != 0).flatten(1).any(1), torch.inf, length)
        share = length / self.eps if self.eps else at_zero
        return upward(share, torch.promote_types(delta.dtype, x.dtype)).to(delta.dtype)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        rows = self._rows(x)
        flat = delta.flatten(1).to(rows)
        spanned = torch.zeros_like(flat)
        for shift, row in zip(self._coefficients(delta, x).T, rows, strict=True):
            spanned = spanned + shift[:, None] * row
        rest = (flat - spanned).abs().amax(1)
        scale = x.abs().flatten(1).amax(1) + delta.abs().flatten(1).amax(1)
        rest = rest * (rest > 8 * torch.finfo(x.dtype).eps * scale.to(rest))
        over = excess(delta, x, self.bounds)
        return torch.maximum(rest.to(over), over)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = self._rows(x)
        low, high = (side.mT for side in self._outer_limits(x, rows))
        if self.order == "2":
            scale = power(rows.mT)
            length = upper(total((rows.mT / scale).square()).sqrt(), len(rows))
            reach = raised_product(length, self.eps)
            reach = torch.where(reach > 0, (reach * scale[:, 0]).clamp(min=smallest(rows.dtype)), 0).expand(len(x), -1)
            return -upward(reach, x.dtype).view(x.shape), upward(reach, x.dtype).view(x.shape)
        ends = torch.stack([rows * low, rows * high]).mT
        # underflow takes from every product
        moved = (stored(rows) & ((low != 0) | (high != 0))).mT
        lost = moved.to(rows.dtype).sum(-1) * (4 * smallest(rows.dtype))
        down, up = (upper(total(side), len(rows)) + lost for side in (-ends.amin(0), ends.amax(0)))
        return -upward(down, x.dtype).view(x.shape), upward(up, x.dtype).view(x.shape)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        import cvxpy

        rows = self._rows(x[None]).cpu()
        # not a variable of its own, so that membership needs no solver
        shift = (rows / rows.square().sum(1, keepdim=True)).numpy() @ delta
        same = delta == rows.T.numpy() @ shift
        short = [shift <= self.eps, shift >= -self.eps] if self.order == "inf" else [cvxpy.norm(shift, 2) <= self.eps]
        allowed = [same, *short]
        if self.valid is None:
            return allowed
        low, high = (
            side.flatten().double().cpu().numpy()
            for side in room(rows_of(x[None], x.dtype), row_box(self.bounds, x[None]))
        )
        return [*allowed, delta >= low, delta <= high]

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, eps=self.eps * factor)

    def check_inputs(self, x: Tensor) -> None:
        check_finite(x)
        check_inside(x, self.bounds, self)
        directions(self.basis, tuple(x.shape[1:]))

    def _overlaps(self) -> bool:
        return self.basis not in NAMES and not disjoint(load(self.basis).flatten(1))

    def _rows(self, x: Tensor) -> Tensor:
        """The directions in the best precision of x's device, (r, n)."""
        precise = torch.float32 if x.device.type == "mps" else torch.float64
        return directions(self.basis, tuple(x.shape[1:])).to(x.device, precise)

    def _limits(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The least (≤ 0) and the largest (≥ 0) value of each coefficient within radius and box, two of (B, 1, r)."""
        side = rows.new_full((len(x), 1, len(rows)), self.eps)
        if self.valid is None:
            return -side, side
        low, high = room(rows_of(x, rows.dtype), row_box(self.bounds, x))
        ends = torch.stack([low / rows, high / rows]).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        moved = rows != 0
        down = torch.where(moved, ends.amin(0), -torch.inf).amax(-1).unsqueeze(1)
        up = torch.where(moved, ends.amax(0), torch.inf).amin(-1).unsqueeze(1)
        return torch.maximum(down, -side), torch.minimum(up, side)

    def _outer_limits(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """``_limits`` rounded outward, two of (B, 1, r)."""
        side = rows.new_full((len(x), 1, len(rows)), above(self.eps, rows.dtype))
        if self.valid is None:
            return -side, side
        low, high = outer_room(rows_of(x, rows.dtype), row_box(self.bounds, x))
        further = 1 + 4 * torch.finfo(rows.dtype).eps
        shares = [(end / rows) * further for end in (low, high)]
        few = smallest(rows.dtype)
        # what has underflown is not 0
        shares = [
            torch.where(end != 0, share.abs().clamp(min=few).copysign(share), share)
            for end, share in zip((low, high), shares, strict=True)
        ]
        ends, moved = torch.stack(shares).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf), rows != 0
        down = torch.where(moved, ends.amin(0), -torch.inf).amax(-1).unsqueeze(1)
        up = torch.where(moved, ends.amax(0), torch.inf).amin(-1).unsqueeze(1)
        return torch.maximum(down, -side), torch.minimum(up, side)

    def _coefficients(self, delta: Tensor, x: Tensor) -> Tensor:
        """The coefficients of the nearest member of the span, (B, r), in the same bits whatever else is in the batch.

        A product of matrices rounds by the size of the batch and the place in memory, and a member stays one alone.
        """
        rows = self._rows(x)
        flat = delta.flatten(1).to(rows)
        return torch.stack([total(flat * row) for row in rows], 1) / total(rows.square())

    def _at(self, shift: Tensor, like: Tensor, x: Tensor) -> Tensor:
        """δ for coefficients (B, r)."""
        return toward_zero(shift @ self._rows(x), torch.promote_types(like.dtype, x.dtype)).view(x.shape)

    def _farthest(self, c: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        rows = self._rows(x)
        flat = c.flatten(1).to(rows).unsqueeze(1)
        return self._shift(flat @ rows.T, flat.abs() @ rows.abs().T, low, high)[:, 0]

    def _shift(self, pairing: Tensor, size: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The coefficients that go farthest; where terms cancel, those of their size, since all are as good, (B, K, r)."""
        if self.order == "inf":
            cancelled = torch.where(high >= -low, size, -size)
            return corner(torch.where(pairing == 0, cancelled, pairing), low, high)
        ray = torch.where((pairing == 0).all(-1, keepdim=True), size, pairing)
        ray = ray / ray.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(ray.dtype).tiny)
        return ray * (self.eps / total(ray.square()).sqrt().clamp(min=0.5).unsqueeze(-1))

    def _most(self, pairing: Tensor, error: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The most that the pairings, known up to their errors, allow, rounded upwards, (B, K)."""
        few, size = smallest(pairing.dtype), pairing.shape[-1]
        if self.order == "inf":
            gains = torch.maximum((pairing + error) * high, (pairing - error) * low)
            reach = torch.maximum(high, -low).clamp(min=1) * (4 * few)
            # underflow takes from each product, and from the pairing, which the coefficient multiplies
            moved = ((pairing != 0) | (error != 0)) & ((low != 0) | (high != 0))
            return upper(total(gains), size) + (reach * moved).sum(-1)
        reach = pairing.abs() + error
        scale = power(reach)
        length = upper(total((reach / scale).square()).sqrt(), size)
        radius = above(self.eps, reach.dtype)
        found = length * (radius * scale.squeeze(-1)) + (length + 2) * (2 * few)
        return torch.where((reach != 0).any(-1), found, 0) if radius else torch.zeros_like(found)


def _in_ball(pairing: Tensor, squares: Tensor, eps: float) -> Tensor:
    """The coefficients nearest in δ with ‖z‖₂ ≤ eps, for directions of squared lengths (r,), (B, r) -> (B, r).

    z = pairing / (squares + λ) with the λ ≥ 0 at which ‖z‖ = eps.
    """
    free = pairing / squares
    if eps == 0:
        return torch.zeros_like(free)
    low = torch.zeros_like(pairing[:, :1])
    high = torch.linalg.vector_norm(pairing, dim=1, keepdim=True) / eps
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        long = torch.linalg.vector_norm(pairing / (squares + middle), dim=1, keepdim=True) > eps
        low, high = torch.where(long, middle, low), torch.where(long, high, middle)
    inside = torch.linalg.vector_norm(free, dim=1, keepdim=True) <= eps
    return torch.where(inside, free, pairing / (squares + high))
