"""Images shifted by a few pixels."""

import attrs

from inradius import Dataset, ExampleRNG
from inradius.components.validators import count
from inradius.training.slots import Transform
from inradius_training.transforms.images import check_images, cropped, padded


@attrs.frozen(kw_only=True)
class Shift(Transform):
    """Each image shifted by up to ``pixels`` in both directions, with the border filled with the lowest valid value."""

    positional = ("pixels",)

    pixels: int = attrs.field(default=2, validator=count)

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The batch with each image shifted by its own numbers."""
        check_images(self, batch)
        return cropped(batch, padded(batch, self.pixels, "lowest"), rng.integers(0, 2 * self.pixels + 1, (2,)))
