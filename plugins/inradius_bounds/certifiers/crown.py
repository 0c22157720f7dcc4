"""The certifier ``crown``: the backward pass with adaptive slopes."""

from typing import get_args

import attrs
from attrs.validators import in_

from inradius import Property
from inradius.components.validators import flag
from inradius_bounds.backward.inner_bounds import CurveRelaxations, Inner, over_boxes, relax_curves
from inradius_bounds.backward.pass_ends import ClosedRows
from inradius_bounds.backward.property_bounds import bounds_by_each, highest, settled
from inradius_bounds.certifiers.propagation import PropagationCertifier, memory_field
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import relax_by_rule, smallest_area


@attrs.frozen(kw_only=True)
class Crown(PropagationCertifier):
    """Bounds the margins as ``dual`` does, with the line below each undecided neuron chosen by area.

    Below a ReLU over [ℓ, u] the dual network has a line of slope u / (u − ℓ). Any slope in [0, 1] is sound. This certifier
    takes 1 where u > −ℓ and else 0, which gives the smallest area between the lines. Bounds of inner layers come from the same
    backward pass, intersected with interval bounds (``intersect=False``: the backward pass alone). Neither choice of slopes is
    always better. With ``best`` the margins' pass is made with both, over the same inner bounds, and each margin keeps the
    higher bound (``best=False``: adaptive slopes alone, at about half the cost for few layers). ``inner="interval"`` takes
    interval bounds of inner layers, which is CROWN-IBP. ``memory`` is the number of megabytes that rows may take, and as many
    rows are pulled at once as fit; by default a quarter of the free memory. Source: zhang2018, zhang2020.
    """

    doubles = True
    pools = True

    intersect: bool = attrs.field(default=True, validator=flag)
    inner: Inner = attrs.field(default="backward", validator=in_(get_args(Inner)))
    best: bool = attrs.field(default=True, validator=flag)
    memory: float | None = memory_field()

    def closed_rows(self, values: ValueBounds, prop: Property) -> ClosedRows:
        found = relax_curves(values, intersect=self.intersect, relax=smallest_area, inner=self.inner)
        return closed(found, prop, intersect=self.intersect, best=self.best)


def closed(found: CurveRelaxations, prop: Property, *, intersect: bool = True, best: bool = True) -> ClosedRows:
    """Lower bounds by the backward pass from the property to the input, (B, K); with ``best`` for the better of two slopes."""
    values = found.values
    both = [found] if not best or found.by_rule_alone else [found, over_boxes(found, relax_by_rule)]
    several = bounds_by_each(values, prop, both, stops=intersect)
    return several[0] if settled(several[0]) else highest(several)
