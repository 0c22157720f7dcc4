"""Bounds of a network's first layer: the gain of mass does not depend on the image, so a price costs one matrix product.

For a row w of the layer and a price ψ of the budget, H[i] = maxⱼ (wⱼ − wᵢ − ψ Cᵢⱼ) is the same for every image. The
bound is min over ψ of ⟨x, H⟩ + ψ · budget. Convolutions have one H for each filter and for each position of its window
relative to the border of the image. The prices are those of a grid, so the bound is sound and slightly above the least
one.
"""

import torch
from torch import Tensor

from inradius import AffineOperator
from inradius_wasserstein.set.levels import levels
from inradius_wasserstein.set.moves import PixelMoves, window_moves
from inradius_wasserstein.support.patch_hulls import PatchHulls
from inradius_wasserstein.support.patches import dense_patches, filter_patches

# Numbers that the hulls of a block of rows may hold.
_BLOCK = 1 << 22


def first_layer(op: AffineOperator, x: Tensor, moves: PixelMoves, budget: Tensor) -> tuple[Tensor, Tensor] | None:
    """Upper bounds of −⟨row, δ⟩ and ⟨row, δ⟩ for all rows of a layer, two of (B, outputs).

    None where the pixels do not share their moves, and for a dense layer without gradients, where the bounds row by row
    are exact.
    """
    if moves.window is None:
        return None
    found = op.filters(x)
    if found is None and not torch.is_grad_enabled():
        # the bounds row by row cost more and are exact
        return None
    if found is not None:
        weights, grid, stride, pad = found
        reach = (len(moves.window) // 2, len(moves.window[0]) // 2)
        patches, canvas = filter_patches(torch.cat([-weights, weights]), grid, stride, pad, x, reach)
        around = window_moves(moves.window, *canvas, x.device, x.dtype)
        bound = PatchHulls(patches, around).bound(budget).permute(1, 2, 0).flatten(1)
        return bound.tensor_split(2, dim=1)  # type: ignore[return-value]
    outputs = op.out_shape.numel()
    step = max(1, _BLOCK // (x[0].numel() * 2 * levels(moves).cost.shape[0]))
    sides = [_dense(op, x, moves, budget, torch.arange(k, min(k + step, outputs))) for k in range(0, outputs, step)]
    low, high = (torch.cat(side, dim=1) for side in zip(*sides, strict=True))
    return low, high


def _dense(op: AffineOperator, x: Tensor, moves: PixelMoves, budget: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The upper bounds of −⟨row, δ⟩ and ⟨row, δ⟩ for the rows of some outputs, two of (B, outputs)."""
    rows = op.unit_rows(index.to(x.device)[None], x.dtype)[0].flatten(1)
    bound = PatchHulls(dense_patches(torch.cat([-rows, rows]), x.flatten(1)), moves).bound(budget)[0]
    low, high = bound.tensor_split(2, dim=1)
    return low, high
