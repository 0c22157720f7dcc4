"""An outcome of regression: outputs stay within a tolerance of what they should be."""

import attrs
import torch
from torch import Tensor

from inradius.components.validators import as_float, positive
from inradius.errors import InputError
from inradius.outcomes.outcome import Outcome, check_finite, flat
from inradius.outcomes.property import Property


@attrs.frozen(kw_only=True)
class Regression(Outcome):
    """Broken where an output, (n,), (n, 1) or (n, O), is ``tolerance`` or more away from its label, in the outputs' units."""

    in_output_units = True
    positional = ("tolerance",)

    tolerance: float = attrs.field(validator=positive, converter=as_float)

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The tolerance minus the largest error."""
        numbers = flat(outputs)
        error = numbers - flat(y).to(numbers)
        # unlike abs with a gradient at 0, where a model that is right to the last digit starts
        return self.tolerance - torch.where(error >= 0, error, -error).amax(1)

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """Every output is between its label minus the tolerance and its label plus the tolerance."""
        label = flat(y).double()
        # rounded inwards
        low = torch.nextafter(label - self.tolerance, label)
        high = torch.nextafter(label + self.tolerance, label)
        return Property.ranges(low, high, dtype=outputs.dtype)

    def size(self, outputs: Tensor, y: Tensor) -> Tensor:
        # in the outputs' type first: there is no |False|, and |−128| is no int8
        label = flat(y).to(outputs).abs().amax(1)
        return torch.maximum(super().size(outputs, y), label).clamp(min=self.tolerance)

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        check_finite(outputs, len(y), "(n,), (n, 1) or (n, O)")
        assert isinstance(outputs, Tensor)
        if outputs.ndim > 2 or y.ndim > 2 or flat(outputs).shape != flat(y).shape or not flat(y).shape[1]:
            raise InputError(
                f"{self} was given outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(y.shape)}; allowed is one "
                "label for each output"
            )
