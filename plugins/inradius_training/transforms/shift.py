"""Images moved by a few pixels."""

import attrs
import torch

from inradius import Dataset, InputError, Streams
from inradius.slots import Transform
from inradius.validators import count


@attrs.frozen(kw_only=True)
class Shift(Transform):
    """Each image moved by up to ``pixels`` in both directions, the border filled with the lowest valid value."""

    positional = ("pixels",)

    pixels: int = attrs.field(default=2, validator=count)

    def __call__(self, batch: Dataset, rng: Streams, classes: int) -> Dataset:
        x, reach = batch.inputs, self.pixels
        if x.ndim != 4:
            raise InputError(f"{self} moves images (B, C, H, W), but the inputs have shape {tuple(x.shape)}")
        fill = batch.bounds[0] if batch.bounds else 0.0
        padded = torch.nn.functional.pad(x, (reach,) * 4, value=fill)
        corner = rng.integers(0, 2 * reach + 1, (2,))
        rows = corner[:, :1] + torch.arange(x.shape[2], device=x.device)
        columns = corner[:, 1:] + torch.arange(x.shape[3], device=x.device)
        example = torch.arange(len(x), device=x.device)[:, None, None, None]
        channel = torch.arange(x.shape[1], device=x.device)[:, None, None]
        return attrs.evolve(batch, inputs=padded[example, channel, rows[:, None, :, None], columns[:, None, None, :]])
