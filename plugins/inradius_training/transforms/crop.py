"""Random crops of padded images."""

from typing import Literal, get_args

import attrs

from inradius import Dataset, ExampleRNG, InputError
from inradius.components.validators import count
from inradius.training.slots import Transform
from inradius_training.transforms.images import check_images, cropped, padded

Border = Literal["lowest", "reflect"]


@attrs.frozen(kw_only=True)
class Crop(Transform):
    """Each image padded by ``padding`` pixels on every side and cut back to its size, at a place drawn uniformly.

    ``border`` is the padding: the lowest valid value, or the mirrored image. Source: he2016deep, section 4.2.
    """

    positional = ("padding",)

    # 4 pixels of CIFAR-10: He et al. 2016, sec. 4.2
    padding: int = attrs.field(default=4, validator=count)
    # black: Wong, Rice and Kolter 2020; the released code of Rice et al. 2020 mirrors
    border: Border = attrs.field(default="lowest", validator=attrs.validators.in_(get_args(Border)))

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The batch with each image cut at its own place."""
        check_images(self, batch)
        if self.border == "reflect" and self.padding >= min(batch.inputs.shape[2:]):
            raise InputError(
                f"{self} mirrors more pixels than an image of shape {tuple(batch.inputs.shape[1:])} has; allowed is a padding "
                "below its height and width"
            )
        corner = rng.integers(0, 2 * self.padding + 1, (2,))
        return cropped(batch, padded(batch, self.padding, self.border), corner)
