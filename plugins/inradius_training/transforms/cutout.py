"""Images with a square cut out."""

import attrs
import torch
from torch import Tensor

from inradius import Dataset, ExampleRNG, InputError
from inradius.components.validators import count, flag
from inradius.training.slots import Transform
from inradius_training.transforms.images import check_images, lowest


@attrs.frozen(kw_only=True)
class Cutout(Transform):
    """Each image with one square of ``size`` × ``size`` pixels set to the lowest valid value, at a place drawn uniformly.

    The square lies inside the image. With ``inside=False`` only its middle does, so a part of it may be cut off, as in
    the paper, which also fills it with the mean. Source: devries2017.
    """

    positional = ("size",)

    # the best of 2 to 20 for CIFAR-10's 32 by 32 pixels under attack: the thesis, section 4.4.2
    size: int = attrs.field(default=14, validator=count)
    # the implementation that the thesis took
    inside: bool = attrs.field(default=True, validator=flag)

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The batch with a square of each image filled."""
        check_images(self, batch)
        height, width = batch.inputs.shape[2:]
        if self.inside and self.size > min(height, width):
            raise InputError(
                f"{self} does not fit into images of {height} by {width} pixels; allowed are sizes up to "
                f"{min(height, width)}, or inside=False"
            )
        place = rng.uniform((2,))
        rows, columns = (self._covered(place[:, axis], length) for axis, length in enumerate((height, width)))
        hidden = rows[:, None, :, None] & columns[:, None, None, :]
        return attrs.evolve(batch, inputs=torch.where(hidden, lowest(batch), batch.inputs))

    def _covered(self, place: Tensor, length: int) -> Tensor:
        """True for the pixels along an axis that lie in the square, (B, length); its place in [0, 1) was drawn."""
        places, back = (length - self.size + 1, 0) if self.inside else (length, self.size // 2)
        first = (place * places).floor() - back
        pixel = torch.arange(length, device=place.device)
        return (pixel >= first[:, None]) & (pixel < first[:, None] + self.size)
