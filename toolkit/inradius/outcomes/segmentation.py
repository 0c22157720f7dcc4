"""An outcome of segmentation: a stated share of the pixels is right."""

import math

import attrs
import torch
from torch import Tensor

from inradius.components.validators import integer
from inradius.errors import InputError, UnsupportedError
from inradius.outcomes.margins import class_margin
from inradius.outcomes.outcome import Outcome, check_finite
from inradius.outcomes.property import Property
from inradius.outcomes.property_rows import differences

# what rounding may add to a share of a whole number
_WHOLE = 1e-9


@attrs.frozen(kw_only=True)
class Segmentation(Outcome):
    """Broken where less than a ``share`` of the pixels is right: logits (n, C, H, W), labels (n, H, W).

    Pixels whose label is ``ignore`` do not count. Other numbers of axes than two will do.
    """

    in_output_units = True
    positional = ("share",)

    share: float = attrs.field()
    ignore: int | None = attrs.field(default=None, validator=attrs.validators.optional(integer))

    @share.validator
    def _check(self, field: object, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ValueError(f"share={value!r} is not allowed; allowed is a share of the pixels above 0 and at most 1")

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The margin of the pixel on which the share hangs: with as many right pixels as are needed, the last of them."""
        return _at(*self._sorted(outputs, y))

    def guide(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean margin of the right pixels among those that must be wrong; the margin where the example is broken."""
        margins, flips = self._sorted(outputs, y)
        margin = _at(margins, flips)
        lowest = torch.arange(margins.shape[1], device=margins.device) <= flips[:, None]
        right = lowest & (margins > 0)
        mean = torch.where(right, margins, 0.0).sum(1) / right.sum(1).clamp(min=1)
        return torch.where(margin > 0, mean, margin)

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """Every pixel is right, where the share is 1 and no pixel is left out."""
        if self.share < 1 or (self.ignore is not None and bool((y == self.ignore).any())):
            raise UnsupportedError(
                f"{self} asks for a part of the pixels, which is no property with linear rows; "
                "certifiers take segmentation(share=1) without pixels to ignore, and certifiers=[] asks attacks alone"
            )
        count, classes = len(y), outputs.shape[1]
        pixels = math.prod(y.shape[1:])
        rows = differences(y.reshape(-1), classes, "labels", outputs.dtype).view(count, pixels, classes - 1, classes)
        # outputs are flattened class by class
        weights = rows.new_zeros(count, pixels, classes - 1, classes, pixels)
        place = torch.arange(pixels, device=y.device)
        weights[:, place, :, :, place] = rows.transpose(0, 1)
        return Property(
            weights.view(count, pixels * (classes - 1), classes * pixels), rows.new_zeros(count, pixels * (classes - 1))
        )

    def check_labels(self, x: Tensor, y: object) -> Tensor:
        labels = super().check_labels(x, y)
        if (
            labels.ndim < 2
            or labels.is_floating_point()
            or labels.dtype == torch.bool
            or not math.prod(labels.shape[1:])
        ):
            raise InputError(
                f"the labels are {labels.dtype} of shape {tuple(labels.shape)}; {self} takes a class for each pixel, (n, H, W)"
            )
        if bool(((labels < 0) & self._counted(labels)).any()):
            raise InputError(f"label {int(labels.min())} is out of range; classes count from 0")
        if not bool(self._counted(labels).flatten(1).any(1).all()):
            raise InputError(f"an example has no pixel that counts; {self} needs at least one in each")
        return labels.to(torch.int64)

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        check_finite(outputs, len(y), "(n, classes, H, W)")
        assert isinstance(outputs, Tensor)
        fits = outputs.ndim == y.ndim + 1 and outputs.shape[2:] == y.shape[1:] and outputs.shape[1] >= 2
        if not fits:
            raise InputError(
                f"{self} was given outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(y.shape)}; allowed are "
                "logits (n, classes ≥ 2, H, W) and labels (n, H, W)"
            )
        largest = int(y[self._counted(y)].max()) if len(y) else 0
        if largest >= outputs.shape[1]:
            raise InputError(f"label {largest} is out of range; the model has the classes 0 to {outputs.shape[1] - 1}")

    def _counted(self, y: Tensor) -> Tensor:
        return torch.ones_like(y, dtype=torch.bool) if self.ignore is None else y != self.ignore

    def _sorted(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The margins of the pixels, ascending, ∞ for those that do not count, (n, P), and the place of the deciding one, (n,)."""
        counted = self._counted(y)
        logits = outputs.movedim(1, -1).reshape(-1, outputs.shape[1])
        margins = class_margin(logits, torch.where(counted, y, 0).reshape(-1).to(torch.int64)).view_as(y).flatten(1)
        counted = counted.flatten(1)
        pixels = counted.sum(1)
        needed = (pixels.double() * self.share - _WHOLE).ceil().clamp(min=1).to(torch.int64)
        return margins.masked_fill(~counted, math.inf).sort(1).values, pixels - needed


def _at(margins: Tensor, place: Tensor) -> Tensor:
    return margins.gather(1, place[:, None]).squeeze(1)
