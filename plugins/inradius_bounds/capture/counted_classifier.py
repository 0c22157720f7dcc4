"""A classifier as a module that counts the images that it runs."""

from collections.abc import Callable
from typing import cast

import attrs
from torch import Tensor, nn

from inradius.models.picked import picked
from inradius.outcomes.outcome import flat


@attrs.define(eq=False)
class Tally:
    """A count of images."""

    images: int = 0


class CountedClassifier(nn.Module):
    """A function of images, or a module, as a module; ``tally`` counts the images of all its runs, recorded ones as well."""

    def __init__(self, classifier: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.classifier = classifier
        # an object that no certificate puts back, as it does with numbers of the module
        self.tally = Tally()

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (B, C), or other outputs, flat for each example."""
        self.tally.images += int(x.shape[0])
        found = cast("Tensor", picked(self.classifier(x)))
        return found if found.ndim == 2 else flat(found)
