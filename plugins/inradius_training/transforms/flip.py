"""Mirrored images."""

import attrs
import torch

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float, share
from inradius.training.slots import Transform
from inradius_training.transforms.images import check_images


@attrs.frozen(kw_only=True)
class Flip(Transform):
    """Each image mirrored left to right with a ``probability``. Source: he2016deep, section 4.2.

    It does not suit digits and letters, whose mirror images are other characters or none.
    """

    positional = ("probability",)

    # a fair coin: He et al. 2016, sec. 4.2
    probability: float = attrs.field(default=0.5, validator=share, converter=as_float)

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The batch with some of its images mirrored."""
        check_images(self, batch)
        mirrored = (rng.uniform() < self.probability)[:, None, None, None]
        return attrs.evolve(batch, inputs=torch.where(mirrored, batch.inputs.flip(-1), batch.inputs))
