"""The proposals of the Square attack, for each kind of set."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inradius import AttackBatch, Oracles
from inradius.sets.examples import expand
from inradius_blackbox.feasible_box import FeasibleBox, feasible_box_of
from inradius_blackbox.shape import Shape, scale_to, shape_of
from inradius_blackbox.square_windows import Grid, pyramids

# the random numbers of a proposal, beside a sign for each channel: top and left of two windows, and the choice of a pattern
_PLACES = 5

# proposals planned per call
_AT_ONCE = 64

# the least height and width for pyramids
_IMAGE = 5

# a factor large enough that the window dominates
_ALL = 1000.0


class SquareMoves(ABC):
    """Makes the proposals of the Square attack for some examples of a batch, always for all of them and in their order.

    A proposal is a perturbation that differs from the present one within a window. ``propose`` draws no random numbers itself.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    @property
    def numbers(self) -> int:
        """The number of uniform numbers that a proposal takes for each example."""
        return _PLACES + self.grid.channels

    @abstractmethod
    def take(self, index: Tensor) -> "SquareMoves":
        """The same moves for the examples in ``index`` alone."""

    @abstractmethod
    def start(self, part: AttackBatch) -> Tensor:
        """The first perturbation, (n, *S)."""

    def plan(self, shares: Sequence[float], draws: Tensor) -> tuple[Tensor, ...]:
        """The tensors from which ``propose`` makes K proposals, (n, K, ...) each; by default the draws alone.

        shares: for each proposal, the share of the input that its window covers. draws: uniform numbers (n, K, numbers).
        """
        return (draws,)

    @abstractmethod
    def propose(self, part: AttackBatch, delta: Tensor, share: float, plan: tuple[Tensor, ...]) -> Tensor:
        """The perturbation with a window changed, (n, *S) -> (n, *S).

        share: the share of the input that the window covers. plan: the tensors of ``plan`` for this proposal, (n, ...).
        """

    def signs(self, draws: Tensor) -> Tensor:
        """True for channels with sign +1, False for −1, from uniform numbers, (..., numbers) -> (..., channels)."""
        return draws[..., _PLACES:] < 0.5

    def stripes(self, part: AttackBatch) -> Tensor:
        """True for +1, False for −1, drawn by column and channel and equal in every row, (n, channels, height, width)."""
        grid = self.grid
        coins = part.rng.uniform((grid.channels, 1, grid.width)).to(part.x.device) < 0.5
        return coins.expand(-1, -1, grid.height, -1)


class Corners(SquareMoves):
    """Proposals for ℓ∞ balls: each channel of the window is set to the least or to the largest perturbation."""

    def __init__(self, grid: Grid, low: Tensor, high: Tensor) -> None:
        super().__init__(grid)
        self._low, self._high = low, high

    def take(self, index: Tensor) -> "Corners":
        return Corners(self.grid, self._low[index], self._high[index])

    def start(self, part: AttackBatch) -> Tensor:
        return torch.where(self.stripes(part).reshape(part.x.shape), self._high, self._low)

    def plan(self, shares: Sequence[float], draws: Tensor) -> tuple[Tensor, ...]:
        rows, columns = self.grid.bands([self.grid.window(share) for share in shares], draws)
        return rows.to(self._low), columns.to(self._low), self.signs(draws)[..., None, None].to(self._low)

    def propose(self, part: AttackBatch, delta: Tensor, share: float, plan: tuple[Tensor, ...]) -> Tensor:
        rows, columns, signs = plan
        shape = (-1, self.grid.channels, self.grid.height, self.grid.width)
        # lerp with weights 0 and 1 is exact and much faster than torch.where with a mask
        ends = torch.lerp(self._low.view(shape), self._high.view(shape), signs)
        return torch.lerp(delta.view(shape), ends, rows * columns).view_as(delta)


class Mounds(SquareMoves):
    """Proposals for ℓ2 and ℓ1 balls. Two windows are set to 0, and the first is filled again.

    It receives a pyramid plus its own normalised old content, scaled in each channel to the norm of both windows plus a share
    of the unused radius; for ℓ1 that times the number of channels.
    """

    def __init__(self, grid: Grid, shape: Shape, feasible: FeasibleBox | None) -> None:
        super().__init__(grid)
        self._shape, self._feasible = shape, feasible

    def take(self, index: Tensor) -> "Mounds":
        return Mounds(self.grid, self._shape.take(index), self._feasible and self._feasible.take(index))

    def start(self, part: AttackBatch) -> Tensor:
        grid = self.grid
        size = (max(1, grid.height // 5), max(1, grid.width // 5))
        margins = ((grid.height - 5 * size[0]) // 2, (grid.width - 5 * size[1]) // 2)
        rows = range(max(0, margins[0]), grid.height - size[0] + 1, size[0])
        columns = range(max(0, margins[1]), grid.width - size[1] + 1, size[1])
        tiles = part.x.new_zeros(len(part), grid.channels, grid.height * grid.width)
        draws = part.rng.uniform((len(rows) * len(columns), self.numbers), dtype=part.x.dtype).to(part.x.device)
        for number, (top, left) in enumerate((row, column) for row in rows for column in columns):
            corner = (torch.full_like(part.rows, top), torch.full_like(part.rows, left))
            tiles.scatter_(2, grid.places(size, corner), self._pattern(size, draws[:, number]).to(tiles))
        return self._within(part, tiles.view_as(part.x))

    def propose(self, part: AttackBatch, delta: Tensor, share: float, plan: tuple[Tensor, ...]) -> Tensor:
        grid, (draws,) = self.grid, plan
        size = grid.window(share, least=3, odd=True)
        here = grid.places(size, grid.corner(size, draws))
        there = grid.places(size, grid.corner(size, draws[:, 2:]))
        rows = delta.reshape(len(part), grid.channels, -1)
        kept = rows.scatter(2, here, 0.0).scatter(2, there, 0.0)
        old = rows.gather(2, here)
        grown = self._pattern(size, draws).to(rows) + self._unit(old)
        filled = self._unit(grown) * self._worth(rows, rows - kept).to(rows)
        return self._within(part, kept.scatter(2, here, filled).view_as(delta))

    def _pattern(self, size: tuple[int, int], draws: Tensor) -> Tensor:
        which = (draws[:, 4] < 0.5).to(torch.int64)
        both = pyramids(size, self._shape.order).to(draws)
        return both[which][:, None] * (self.signs(draws)[:, :, None].to(draws) * 2 - 1)

    def _unit(self, rows: Tensor) -> Tensor:
        return rows / self._shape.length(rows, dim=2).clamp(min=torch.finfo(rows.dtype).tiny)

    def _worth(self, rows: Tensor, windows: Tensor) -> Tensor:
        """The norm that each channel of the filled window gets, (n, c, 1).

        It is the norm of the channel in both windows, and its share of the radius that the perturbation leaves unused.
        """
        radius, channels = self._shape.radius[:, None, None].to(rows), self.grid.channels
        used, held = self._shape.length(rows, dim=(1, 2)), self._shape.length(windows, dim=2)
        if self._shape.order == 1:
            # times the channels, as in autoattack's implementation: the projection takes back what is too much
            return ((radius - used).clamp(min=0) / channels + held) * channels
        return ((radius**2 - used**2).clamp(min=0) / channels + held**2).sqrt()

    def _within(self, part: AttackBatch, delta: Tensor) -> Tensor:
        if self._shape.order == 1:
            return part.threat.project(delta, part.x)
        full = scale_to(delta, self._shape)
        # a point of the sphere that the box cuts off is nearest where it is clipped
        return (
            self._feasible.nearest(part.threat, full, part.x) if self._feasible else part.threat.project(full, part.x)
        )


class Extremes(SquareMoves):
    """Proposals for all other sets, and for ℓ2 and ℓ1 on inputs less than 5 pixels high or wide.

    In the perturbation a window is filled with one height and a sign for each channel. The proposal is the point of the set that
    goes farthest along the result, or, on convex sets, a mean of that point and the perturbation.
    """

    def __init__(self, grid: Grid, *, convex: bool) -> None:
        super().__init__(grid)
        self._convex = convex

    def take(self, index: Tensor) -> "Extremes":
        return self

    def start(self, part: AttackBatch) -> Tensor:
        signs = self.stripes(part).reshape(part.x.shape).to(part.x) * 2 - 1
        return part.threat.linear_max(signs, part.x)

    def propose(self, part: AttackBatch, delta: Tensor, share: float, plan: tuple[Tensor, ...]) -> Tensor:
        size, (draws,) = self.grid.window(share), plan
        mask = self.grid.mask(size, self.grid.corner(size, draws))
        # up to twice the largest change, so that a window may or may not outdo what there is; half of them do on sets
        # that are not convex, where there are no means
        most = 2.0 if self._convex else torch.where(draws[:, 3] < 0.5, 2.0, _ALL).to(delta)
        height = most * draws[:, 2].to(delta) * delta.flatten(1).abs().amax(1)
        signs = self.signs(draws).to(delta) * 2 - 1
        rows = delta.view(len(part), self.grid.channels, self.grid.height, self.grid.width)
        direction = torch.where(mask, (height[:, None] * signs)[:, :, None, None], rows).view_as(delta)
        target = part.threat.linear_max(direction, part.x)
        if not self._convex:
            return target
        # means reach inner points; as the side of the window shrinks, so does that step
        pace = torch.where(draws[:, 3] < 0.5, 1.0, math.sqrt(share)).to(delta)
        return delta + expand(pace, delta) * (target - delta)


def moves_of(threat: Oracles, x: Tensor) -> SquareMoves:
    """The moves for a set around inputs x (B, *S): by its norm if it is an ℓ∞, ℓ2 or ℓ1 ball, else ``Extremes``."""
    grid, shape = Grid.of(x), shape_of(threat, x)
    if shape is not None and shape.order == math.inf:
        low, high = (threat.linear_max(sign * torch.ones_like(x), x) for sign in (-1, 1))
        return Corners(grid, low, high)
    # a pyramid needs an image around it
    if shape is None or min(grid.height, grid.width) < _IMAGE:
        return Extremes(grid, convex=threat.convex)
    # the projection rounds towards 0, which a half precision needs
    clips = shape.order == 2 and x.dtype in (torch.float32, torch.float64)
    return Mounds(grid, shape, feasible_box_of(threat, x) if clips else None)


class Proposals:
    """The sequence of proposals for some examples. Plans are made for many proposals at once, because each operation is costly.

    share: a function of the number of proposals so far; it returns the share of the input that the next window covers.
    """

    def __init__(self, part: AttackBatch, moves: SquareMoves, share: Callable[[int], float]) -> None:
        self._part, self._moves, self._share = part, moves, share
        self._plans: tuple[Tensor, ...] = ()
        self._shares: list[float] = []
        self._made = 0

    def next(self, delta: Tensor) -> Tensor:
        """The next proposal, (n, *S) -> (n, *S)."""
        place = self._made % _AT_ONCE
        if place == 0:
            self._shares = [self._share(self._made + ahead) for ahead in range(_AT_ONCE)]
            draws = self._part.rng.uniform((_AT_ONCE, self._moves.numbers)).to(self._part.x.device)
            self._plans = self._moves.plan(self._shares, draws)
        self._made += 1
        return self._moves.propose(
            self._part, delta, self._shares[place], tuple(plan[:, place] for plan in self._plans)
        )

    def take(self, part: AttackBatch, index: Tensor) -> "Proposals":
        """The same sequence, continued for the examples in ``index`` alone; ``part`` is the batch of these examples."""
        taken = Proposals(part, self._moves.take(index), self._share)
        taken._plans = tuple(plan[index] for plan in self._plans)
        taken._shares, taken._made = self._shares, self._made
        return taken
