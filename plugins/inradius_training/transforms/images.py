"""What transforms of images have in common."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius import Dataset, InputError
from inradius.training.slots import Transform


def check_images(transform: Transform, batch: Dataset) -> None:
    """Raises ``InputError`` for inputs that are no images."""
    if batch.inputs.ndim != 4:
        raise InputError(
            f"{transform} changes images (B, C, H, W), but the inputs have shape {tuple(batch.inputs.shape)}"
        )


def lowest(batch: Dataset) -> float:
    """The lowest valid value; 0 where there are no bounds."""
    return batch.bounds[0] if batch.bounds else 0.0


def padded(batch: Dataset, pixels: int, border: str) -> Tensor:
    """The images (B, C, H, W) with a border on each side: of the lowest valid value, or mirrored."""
    if border == "lowest":
        return F.pad(batch.inputs, (pixels,) * 4, value=lowest(batch))
    return F.pad(batch.inputs, (pixels,) * 4, mode="reflect")


def cropped(batch: Dataset, wide: Tensor, corner: Tensor) -> Dataset:
    """The batch with each image cut out of its wider one, (B, C, H + 2p, W + 2p), from its own corner, (B, 2)."""
    height, width = batch.inputs.shape[2:]
    rows = corner[:, :1] + torch.arange(height, device=wide.device)
    columns = corner[:, 1:] + torch.arange(width, device=wide.device)
    example = torch.arange(len(wide), device=wide.device)[:, None, None, None]
    channel = torch.arange(wide.shape[1], device=wide.device)[:, None, None]
    return attrs.evolve(batch, inputs=wide[example, channel, rows[:, None, :, None], columns[:, None, None, :]])
