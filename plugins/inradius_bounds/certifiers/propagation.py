"""The part that is common to the certifiers that propagate bounds: the batch is bounded in parts that fit into memory."""

from abc import abstractmethod
from typing import Any, ClassVar

import attrs
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property
from inradius.components.validators import as_float, positive
from inradius_bounds.backward.certifier_bounds import bounds_of, values_of
from inradius_bounds.backward.memory import in_parts
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.network.value_bounds import ValueBounds


def memory_field() -> Any:
    """The field ``memory`` of a certifier: megabytes > 0, or None."""
    return attrs.field(default=None, validator=optional(positive), converter=attrs.converters.optional(as_float))


class PropagationCertifier(Certifier):
    """Bounds a property by bounds that pass through the network, without a solver.

    ``memory`` is the number of megabytes that rows may take, and None is a quarter of the free memory. ``from_reference`` says
    that passes count from the values at x, which costs one more evaluation and makes rounding errors smaller.
    """

    widens = True
    from_reference: ClassVar[bool] = True
    memory: float | None

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        values = values_of(model, x, threat, about=self.from_reference, memory=self.memory)
        found = in_parts(values, prop, self.closed_rows, self.numbers_of_row(values))
        return bounds_of(values, found, exact=threat.tight and values.network.affine)

    @abstractmethod
    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        """Lower bounds of the property's rows for a part of the batch, (B, K)."""

    def numbers_of_row(self, values: ValueBounds) -> int:
        """The count of numbers that are kept of one row, where it is more than the widest value has; 0 by default."""
        return 0
