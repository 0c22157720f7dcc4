"""Interval bound propagation."""

from functools import partial

import attrs
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams
from inradius_bounds.forward import fold, interval_bounds, last_box_bound
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import trace


@attrs.frozen(kw_only=True)
class Interval(Certifier):
    """Bounds every layer by a box, and the margins by folding them into the last affine block.

    The first block asks the set's support function, so the set enters exactly; from there on boxes. The cheapest
    certifier, and the one to train through. Source: gowal2018.
    """

    widens = True

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        chain = trace(model, x, threat)
        rows, constant = fold(chain, prop)
        if not chain.hidden:
            value = constant + (rows.flatten(2) @ x.flatten(1)[..., None]).squeeze(2) - threat.support(-rows, x)
            return Bounds(value, exact=threat.tight, error=partial(rounding_error, chain, x, threat, [], prop))
        bounds = interval_bounds(chain, x, threat)
        value = last_box_bound(chain, rows, constant, bounds[-1])
        return Bounds(value, error=partial(rounding_error, chain, x, threat, bounds, prop))
