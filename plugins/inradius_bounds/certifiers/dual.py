"""The certifier ``dual``: the dual network of Wong and Kolter."""

from typing import get_args

import attrs
from attrs.validators import in_

from inradius import Property
from inradius.components.validators import flag
from inradius_bounds.backward.inner_bounds import Inner, relax_curves
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.property_bounds import bounds_on_the_way, highest, lines_of
from inradius_bounds.certifiers.propagation import PropagationCertifier, memory_field
from inradius_bounds.network.value_bounds import ValueBounds


@attrs.frozen(kw_only=True)
class Dual(PropagationCertifier):
    """Bounds the margins by one backward pass through the dual network, closed by the set's support function.

    The LP relaxation of the network replaces each ReLU by its convex hull over [ℓ, u]. Every feasible point of its dual is a
    bound. The point with α = u / (u − ℓ) makes the dual network linear. Bounds of inner layers come from the same backward
    pass, intersected with interval bounds (``intersect=False``: the backward pass alone). The intersection tightens every layer
    and saves most rows. The slopes stay those of the backward pass, so that no margin becomes lower. ``inner="interval"`` takes
    interval bounds of inner layers: one backward pass in all. ``memory`` is the number of megabytes that rows may take; by
    default a quarter of the free memory. Source: wong2018, Algorithm 1.
    """

    intersect: bool = attrs.field(default=True, validator=flag)
    inner: Inner = attrs.field(default="backward", validator=in_(get_args(Inner)))
    memory: float | None = memory_field()

    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        found = relax_curves(values, intersect=self.intersect, inner=self.inner, slopes=True)
        return highest(bounds_on_the_way(values, prop, lines_of(found), stops=self.intersect))
