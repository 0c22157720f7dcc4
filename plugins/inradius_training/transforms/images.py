"""Functions shared by the transforms of images."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import Dataset, InputError
from inradius.sets.arithmetic.sides import beside
from inradius.training.slots import Transform


def check_images(transform: Transform, batch: Dataset) -> None:
    """Raises ``InputError`` for inputs that are not images."""
    if batch.inputs.ndim != 4:
        raise InputError(
            f"{transform} changes images (B, C, H, W), but the inputs have shape {tuple(batch.inputs.shape)}"
        )


def lowest(batch: Dataset) -> Tensor:
    """The lowest valid values, which broadcast against the images; 0 where there are no bounds."""
    box = beside(batch.bounds, batch.inputs)
    return torch.as_tensor(box[0] if box else 0.0, dtype=batch.inputs.dtype, device=batch.inputs.device)


def padded(batch: Dataset, pixels: int, border: str) -> Tensor:
    """The images (B, C, H, W) with a border on each side: the lowest valid value, or the mirrored image."""
    if border == "lowest":
        low = lowest(batch)
        if not low.ndim:
            return F.pad(batch.inputs, (pixels,) * 4, value=float(low))
        border_of = F.pad(low.expand_as(batch.inputs), (pixels,) * 4, mode="replicate")
        outside = F.pad(torch.zeros_like(batch.inputs), (pixels,) * 4, value=1.0) != 0
        return torch.where(outside, border_of, F.pad(batch.inputs, (pixels,) * 4))
    return F.pad(batch.inputs, (pixels,) * 4, mode="reflect")


def cropped(batch: Dataset, wide: Tensor, corner: Tensor) -> Dataset:
    """The batch with each image cut out of its padded one, (B, C, H + 2p, W + 2p), at its own corner, (B, 2)."""
    height, width = batch.inputs.shape[2:]
    rows = corner[:, :1] + torch.arange(height, device=wide.device)
    columns = corner[:, 1:] + torch.arange(width, device=wide.device)
    example = torch.arange(len(wide), device=wide.device)[:, None, None, None]
    channel = torch.arange(wide.shape[1], device=wide.device)[:, None, None]
    return attrs.evolve(batch, inputs=wide[example, channel, rows[:, None, :, None], columns[:, None, None, :]])
