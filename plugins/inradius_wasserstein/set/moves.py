"""The moves of a pixel's mass within one channel, and their costs."""

from functools import lru_cache
from math import inf

import attrs
import torch
from torch import Tensor

from inradius import InputError
from inradius_wasserstein.set.costs import Costs, distances, table_of


@attrs.frozen(eq=False)
class PixelMoves:
    """The moves of every pixel of an image with n = H·W pixels, m moves for each.

    target (n, m): flat indices of pixels; cost (n, m): cost of a unit of mass; valid (n, m): False for padding, which
    repeats the move that stays. Move 0 of every pixel stays, at cost 0. Costs of valid moves do not decrease along m.
    ``price``: the cost of each of the m moves where all pixels share them, else None. ``window``: the window of costs
    that they come from, else None.
    """

    target: Tensor
    cost: Tensor
    valid: Tensor
    price: tuple[float, ...] | None = None
    window: Costs | None = None


@lru_cache(maxsize=32)
def window_costs(kernel: int, p: float) -> Costs:
    """‖i − j‖₂^p over a kernel × kernel window around i, with 0 in the centre."""
    reach = range(-(kernel // 2), kernel // 2 + 1)
    return tuple(tuple(float((a * a + b * b) ** (p / 2)) for b in reach) for a in reach)


@lru_cache(maxsize=32)
def window_moves(costs: Costs, height: int, width: int, device: torch.device, dtype: torch.dtype) -> PixelMoves:
    """The moves within a window of the given costs, clipped at the image's border."""
    reach = len(costs) // 2, len(costs[0]) // 2
    steps = [(a - reach[0], b - reach[1]) for a in range(len(costs)) for b in range(len(costs[0]))]
    steps.sort(key=lambda step: (step != (0, 0), costs[step[0] + reach[0]][step[1] + reach[1]], step))
    steps = [(a, b) for a, b in steps if abs(a) < height and abs(b) < width and costs[a + reach[0]][b + reach[1]] < inf]
    offset = torch.tensor(steps, device=device)
    prices = tuple(costs[a + reach[0]][b + reach[1]] for a, b in steps)
    price = torch.tensor(prices, dtype=dtype, device=device)
    row, column = (
        axis.flatten() for axis in torch.meshgrid(_range(height, device), _range(width, device), indexing="ij")
    )
    rows, columns = row[:, None] + offset[:, 0], column[:, None] + offset[:, 1]
    valid = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    stays = torch.arange(height * width, device=device)[:, None]
    target = torch.where(valid, rows * width + columns, stays)
    return PixelMoves(target, torch.where(valid, price, torch.zeros_like(price)), valid, prices, costs)


@lru_cache(maxsize=8)
def any_moves(p: float, height: int, width: int, device: torch.device, dtype: torch.dtype) -> PixelMoves:
    """The moves between all pixels of an image, at the costs ‖i − j‖₂^p."""
    return _table_moves(distances(height, width, p), device, dtype)


@lru_cache(maxsize=8)
def file_moves(file: str, device: torch.device, dtype: torch.dtype) -> PixelMoves:
    """The moves between all pixels at the costs in a file."""
    return _table_moves(table_of(file), device, dtype)


def _table_moves(table: Tensor, device: torch.device, dtype: torch.dtype) -> PixelMoves:
    """The moves at the costs of a table (n, n): first the one that stays, then the others, cheapest first.

    An infinite cost forbids a move.
    """
    key = table.clone().fill_diagonal_(-1)
    order = key.argsort(dim=1, stable=True)
    order = order[:, : int(table.isfinite().sum(1).max())]
    cost = table.gather(1, order)
    valid = cost.isfinite()
    target = torch.where(valid, order, torch.arange(len(table))[:, None])
    cost = torch.where(valid, cost, torch.zeros_like(cost))
    return PixelMoves(target.to(device), cost.to(dtype).to(device), valid.to(device))


def _range(size: int, device: torch.device) -> Tensor:
    return torch.arange(size, device=device)


def check_image(x: Tensor, asker: object) -> None:
    """Raises ``InputError`` where ``x`` is not a batch of images of non-negative pixels."""
    if x.ndim != 4:
        raise InputError(
            f"inputs of shape {tuple(x.shape)} are not images; {asker} allows (batch, channels, height, width)"
        )
    bad = (x < 0).flatten(1).any(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(
            f"image {row} has the negative pixel {float(x[row].min()):.6g}, which is not a mass; {asker} allows pixels ≥ 0, "
            "so put a normalisation into the model (a Normalize layer)"
        )
