"""Patches: the pixels from which mass can be moved into the window of a filter, or all pixels for a dense row."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


@attrs.frozen(eq=False)
class Patches:
    """The pixels of B images that matter to K rows of a linear map, at each of the P places of a filter.

    mass (P, B, S): the values of the S pixels at each place. kind (P,): places are of Q kinds, by how much of the patch lies
    beyond the image. worth (R, K): the rows' entries on all canvases together, 0 beyond the image. closed (R, 1): True beyond
    the image. source (Q, S): for each kind, where its pixels are in ``worth``.
    """

    mass: Tensor
    kind: Tensor
    worth: Tensor
    closed: Tensor
    source: Tensor


def dense_patches(rows: Tensor, x: Tensor) -> Patches:
    """The patches of dense rows (K, n) on images (B, n): one place, which has all pixels."""
    closed = torch.zeros(rows.shape[1], 1, dtype=torch.bool, device=x.device)
    every = torch.arange(x.shape[1], device=x.device)[None]
    return Patches(x[None], torch.zeros(1, dtype=torch.int64, device=x.device), rows.t(), closed, every)


def filter_patches(
    filters: Tensor, grid: Pair, stride: Pair, pad: Pair, x: Tensor, reach: Pair
) -> tuple[Patches, Pair]:
    """The patches of filters (K, C, h, w) on images (B, C, H, W), and the height and width of a canvas.

    A patch has the pixels within ``reach`` of a window of the filter, as far as a move carries mass. A canvas is larger: it has
    the pixels within twice the reach, where mass of the patch can go. ``worth`` lists the filters' entries on it.
    """
    size = [filters.shape[2 + axis] + 4 * reach[axis] for axis in (0, 1)]
    begin = [torch.arange(grid[axis], device=x.device) * stride[axis] - pad[axis] - 2 * reach[axis] for axis in (0, 1)]
    sides = [_borders(begin[axis], size[axis], x.shape[2 + axis]) for axis in (0, 1)]
    (down, rows), (across, columns) = sides
    inside = rows[:, None, :, None] & columns[None, :, None, :]
    kinds = len(rows) * len(columns)
    canvas = F.pad(filters, (2 * reach[1], 2 * reach[1], 2 * reach[0], 2 * reach[0]))
    inside = inside.view(kinds, 1, 1, *size)
    worth = (canvas * inside).permute(0, 2, 3, 4, 1).reshape(-1, len(filters))
    closed = ~inside[:, 0].expand(-1, filters.shape[1], *size).reshape(-1, 1)
    number = torch.arange(len(worth), device=x.device).view(kinds, -1, *size)
    source = number[:, :, reach[0] : size[0] - reach[0], reach[1] : size[1] - reach[1]].flatten(1)
    kind = (down[:, None] * len(columns) + across).flatten()
    return Patches(_cut(x, grid, stride, begin, size, reach), kind, worth, closed, source), (size[0], size[1])


def _borders(begin: Tensor, size: int, length: int) -> tuple[Tensor, Tensor]:
    """The kind of each place along one axis, (places,), and for each kind True at canvas pixels within the image, (kinds, size)."""
    position = begin[:, None] + torch.arange(size, device=begin.device)
    inside, kind = torch.unique((position >= 0) & (position < length), dim=0, return_inverse=True)
    return kind, inside


def _cut(x: Tensor, grid: Pair, stride: Pair, begin: list[Tensor], size: list[int], reach: Pair) -> Tensor:
    """The pixels of the patch at each place, 0 beyond the image, (P, B, S)."""
    first = [int(begin[axis][0]) + reach[axis] for axis in (0, 1)]
    window = (size[0] - 2 * reach[0], size[1] - 2 * reach[1])
    last = [first[axis] + (grid[axis] - 1) * stride[axis] + window[axis] - x.shape[2 + axis] for axis in (0, 1)]
    padded = F.pad(x, (-first[1], last[1], -first[0], last[0]))
    return F.unfold(padded, window, stride=stride).permute(2, 0, 1).contiguous()
