"""The dual network of Wong and Kolter."""

from functools import partial
from typing import get_args

import attrs
import torch
from attrs.validators import in_
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams
from inradius.validators import flag
from inradius_bounds.backward import Rows, lower_bound
from inradius_bounds.forward import fold, last_box_bound
from inradius_bounds.layer_bounds import Inner, layer_bounds
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import trace


@attrs.frozen(kw_only=True)
class Dual(Certifier):
    """Bounds the margins by one backward pass through the dual network, closed by the set's support function.

    The LP relaxation of the network (each ReLU replaced by its convex hull over [ℓ, u]) has a dual of which every feasible
    point is a bound; α = u / (u − ℓ) is one that makes the dual network linear. Bounds of inner layers come from the same
    backward pass, intersected with interval bounds (``intersect=False``: the backward pass alone). The intersection
    tightens every layer and saves most rows; as it moves the slopes too, a single margin may end up slightly lower.
    ``inner="interval"`` takes interval bounds of inner layers as they are: one backward pass in all.
    Source: wong2018, Algorithm 1.
    """

    widens = True

    intersect: bool = attrs.field(default=True, validator=flag)
    inner: Inner = attrs.field(default="backward", validator=in_(get_args(Inner)))

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        chain = trace(model, x, threat)
        layers = layer_bounds(chain, x, threat, intersect=self.intersect, inner=self.inner)
        function = Rows(*fold(chain, prop))
        value = lower_bound(chain, len(chain.hidden), function, layers.relaxations, x, threat.support)
        if self.intersect and chain.hidden:
            value = torch.maximum(value, last_box_bound(chain, function.rows, function.constant, layers.bounds[-1]))
        exact = threat.tight and not chain.hidden
        return Bounds(value, exact=exact, error=partial(rounding_error, chain, x, threat, layers.bounds, prop))
