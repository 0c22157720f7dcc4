"""The certifier ``interval``: interval bound propagation."""

import attrs

from inradius import Property
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.property_bounds import property_bounds
from inradius_bounds.certifiers.propagation import PropagationCertifier, memory_field
from inradius_bounds.network.value_bounds import ValueBounds


@attrs.frozen(kw_only=True)
class Interval(PropagationCertifier):
    """Bounds every layer by a box, and the margins by folding them into the last affine layers.

    The first layers ask the set's support function, so the set enters exactly. The later layers use boxes. This is the cheapest
    certifier, and the one to train through. ``memory`` is the number of megabytes that a part of the batch may take; by default
    a quarter of the free memory. Source: gowal2018.
    """

    from_reference = False
    # rows end behind the last non-linear layers, whose boxes alone are kept
    passing, rows_at_once = True, 16

    memory: float | None = memory_field()

    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        return property_bounds(values, prop, {}, stops=True)
