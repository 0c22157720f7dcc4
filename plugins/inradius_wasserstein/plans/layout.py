"""The layout of transport plans of a batch of images, restricted to the pixels that have mass."""

import attrs
import torch
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves


@attrs.frozen(eq=False)
class PlanLayout:
    """The moves of plans from a batch of images: S sources a channel, m moves each, n pixels that a move can reach.

    mass (B, C, S): the sources' mass, 0 for padding; pixel (B, C, n): the numbers of the reachable pixels in the
    channel; real (B, C, n): False for padding; target (B, C, S·m): the end of a move, counted among those pixels; home
    (B, C, S): the place of the source itself; cost, allowed (B, C, S, m): the cost of a move, and True where it exists;
    open: ``allowed`` as 1 and 0; barrier: ``allowed`` as 0 and inf.
    """

    mass: Tensor
    pixel: Tensor
    real: Tensor
    target: Tensor
    cost: Tensor
    allowed: Tensor
    open: Tensor
    barrier: Tensor
    home: Tensor

    def into(self, values: Tensor) -> Tensor:
        """The sum of what arrives at each pixel, (B, C, S, m) -> (B, C, n)."""
        return torch.zeros_like(self.pixel, dtype=values.dtype).scatter_add_(-1, self.target, values.flatten(2))

    def at(self, values: Tensor) -> Tensor:
        """The value at the end of each move, (B, C, n) -> (B, C, S, m)."""
        return values.gather(-1, self.target).view(self.cost.shape)

    def change(self, plan: Tensor) -> Tensor:
        """The mass gained by each pixel, (B, C, S, m) -> (B, C, n). Small changes keep their digits."""
        moved = plan.clone()
        moved[..., 0] = -plan[..., 1:].sum(-1)
        return self.into(moved)

    def price(self, plan: Tensor) -> Tensor:
        """⟨C, P⟩, (B, C, S, m) -> (B,)."""
        return (self.cost * plan).flatten(1).sum(1)

    def pick(self, image: Tensor) -> Tensor:
        """The reachable pixels of images, 0 for padding, (B, C, H·W) -> (B, C, n)."""
        return image.gather(-1, self.pixel) * self.real

    def spread(self, values: Tensor, pixels: int) -> Tensor:
        """Images that are 0 outside of the reachable pixels, (B, C, n) -> (B, C, H·W)."""
        return values.new_zeros(*values.shape[:2], pixels).scatter_add_(-1, self.pixel, values * self.real)

    def take(self, rows: Tensor) -> "PlanLayout":
        """The layout of some examples."""
        return PlanLayout(*(value[rows] for value in attrs.astuple(self, recurse=False)))

    def to(self, dtype: torch.dtype) -> "PlanLayout":
        """The layout in another precision."""
        values = attrs.astuple(self, recurse=False)
        return PlanLayout(*(value.to(dtype) if value.is_floating_point() else value for value in values))

    def only(self, kept: Tensor, real: Tensor) -> "PlanLayout":
        """The layout of the kept moves.

        kept (B, C, S, k): the places of the kept moves, of which the first one stays. real (B, C, S, k): False for
        padding.
        """
        allowed = self.allowed.gather(-1, kept) & real
        target = self.target.view(self.cost.shape).gather(-1, kept)
        shut = torch.where(allowed, 0, torch.inf).to(self.mass)
        shut[..., 0] = 0
        return attrs.evolve(
            self,
            target=torch.where(allowed, target, self.home.unsqueeze(-1)).flatten(2),
            cost=self.cost.gather(-1, kept) * allowed,
            allowed=allowed,
            open=allowed.to(self.mass),
            barrier=shut,
        )


def layout_from(mass: Tensor, moves: PixelMoves, allowed: Tensor) -> PlanLayout:
    """The layout of plans that start at the pixels with mass, (B, C, H·W); ``allowed`` (B, C, H·W, m) marks the moves
    that exist.
    """
    source, real = _packed(mass > 0)
    moving = _rows(allowed, source) & real.unsqueeze(-1)
    target = torch.where(moving, moves.target[source], source.unsqueeze(-1)).flatten(2)
    reached = torch.zeros_like(mass, dtype=torch.long).scatter_add_(-1, target, moving.flatten(2).long()) > 0
    pixel, there = _packed(reached)
    number = (reached.cumsum(-1) - 1).clamp_min(0)
    # padding keeps the move that stays, so that each row has a best move
    shut = torch.where(moving, 0, torch.inf).to(mass)
    shut[..., 0] = 0
    return PlanLayout(
        mass=mass.gather(-1, source) * real,
        pixel=pixel,
        real=there,
        target=number.gather(-1, target),
        cost=moves.cost[source].to(mass) * moving,
        allowed=moving,
        open=moving.to(mass),
        barrier=shut,
        home=number.gather(-1, source),
    )


def _rows(allowed: Tensor, source: Tensor) -> Tensor:
    return allowed.gather(2, source.unsqueeze(-1).expand(*source.shape, allowed.shape[-1]))


def _packed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of the chosen entries, padded to the longest list, and False for padding, two of (B, C, L)."""
    length = max(1, int(chosen.sum(-1).max()))
    order = (~chosen).to(torch.uint8).argsort(dim=-1, stable=True)[..., :length]
    return order, chosen.gather(-1, order)
