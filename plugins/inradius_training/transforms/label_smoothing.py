"""Labels with a little weight on the other classes."""

import attrs

from inradius import Dataset, ExampleRNG
from inradius.components.validators import as_float, share
from inradius.training.losses import targets_of
from inradius.training.slots import Transform


@attrs.frozen(kw_only=True)
class LabelSmoothing(Transform):
    """t' = (1 − amount) t + amount / C, used by attack and loss alike. Source: szegedy2016, section 7."""

    positional = ("amount",)

    # Szegedy et al. 2016, sec. 7
    amount: float = attrs.field(default=0.1, validator=share, converter=as_float)

    def __call__(self, batch: Dataset, rng: ExampleRNG, classes: int) -> Dataset:
        """The batch with ``targets``; its inputs do not change."""
        targets = targets_of(batch, classes, batch.inputs.dtype)
        return attrs.evolve(batch, targets=(1 - self.amount) * targets + self.amount / targets.shape[1])
