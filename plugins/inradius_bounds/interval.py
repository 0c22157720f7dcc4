"""Interval bound propagation."""

import attrs
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams
from inradius_bounds.passes.property import property_bounds
from inradius_bounds.passes.start import bounds_of, values_of


@attrs.frozen(kw_only=True)
class Interval(Certifier):
    """Bounds every layer by a box, and the margins by folding them into the last affine layers.

    The first layers ask the set's support function, so the set enters exactly; from there on boxes. The cheapest
    certifier, and the one to train through. Source: gowal2018.
    """

    widens = True

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        values = values_of(model, x, threat, about=False)
        found = property_bounds(values, prop, {}, stops=True)
        return bounds_of(values, found, exact=threat.tight and not values.network.curves)
