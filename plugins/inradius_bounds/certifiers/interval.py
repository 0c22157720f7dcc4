"""Interval bound propagation."""

import attrs
from attrs.validators import optional
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Oracles, Property
from inradius.components.validators import as_float, positive
from inradius_bounds.backward.certifier_bounds import bounds_of, values_of
from inradius_bounds.backward.memory import in_parts
from inradius_bounds.backward.property_bounds import property_bounds


@attrs.frozen(kw_only=True)
class Interval(Certifier):
    """Bounds every layer by a box, and the margins by folding them into the last affine layers.

    The first layers ask the set's support function, so the set enters exactly; from there on boxes. The cheapest
    certifier, and the one to train through. ``memory``: the megabytes that a part of the batch may take; by default a
    quarter of what is free. Source: gowal2018.
    """

    widens = True

    memory: float | None = attrs.field(
        default=None, validator=optional(positive), converter=attrs.converters.optional(as_float)
    )

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        values = values_of(model, x, threat, about=False, memory=self.memory)
        found = in_parts(values, prop, lambda part, asked: property_bounds(part, asked, {}, stops=True))
        return bounds_of(values, found, exact=threat.tight and not values.network.curves)
