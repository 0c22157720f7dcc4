"""The backward pass with adaptive slopes."""

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
from inradius_bounds.layer_bounds import Inner, LayerBounds, layer_bounds
from inradius_bounds.relax import relax_by_rule, smallest_area
from inradius_bounds.rounding import rounding_error
from inradius_bounds.trace import Chain, trace


@attrs.frozen(kw_only=True)
class Crown(Certifier):
    """Bounds the margins as ``dual`` does, with the line below each undecided neuron chosen by area.

    Below a ReLU over [ℓ, u] the dual network runs a line of slope u / (u − ℓ). Any slope in [0, 1] is sound; this takes 1
    where u > −ℓ and else 0, which leaves the smallest area between the lines. Bounds of inner layers come from the same
    backward pass, intersected with interval bounds (``intersect=False``: the backward pass alone). Neither choice of
    slopes is always the better one: with ``best``, the margins' pass is made with both, over the same inner bounds, and
    each margin keeps the higher bound (``best=False``: adaptive slopes alone, at about half the cost for few layers).
    ``inner="interval"`` takes interval bounds of inner layers as they are, which is CROWN-IBP. Source: zhang2018, zhang2020.
    """

    widens = True

    intersect: bool = attrs.field(default=True, validator=flag)
    inner: Inner = attrs.field(default="backward", validator=in_(get_args(Inner)))
    best: bool = attrs.field(default=True, validator=flag)

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        chain = trace(model, x, threat)
        layers = layer_bounds(chain, x, threat, intersect=self.intersect, relax=smallest_area, inner=self.inner)
        function = Rows(*fold(chain, prop))
        value = closed(chain, function, layers, x, threat, intersect=self.intersect, best=self.best)
        exact = threat.tight and not chain.hidden
        error = partial(rounding_error, chain, x, threat, layers.bounds, prop, relax=smallest_area)
        return Bounds(value, exact=exact, error=error)


def closed(
    chain: Chain, function: Rows, layers: LayerBounds, x: Tensor, threat: Oracles, *, intersect: bool, best: bool
) -> Tensor:
    """The backward pass from the property to the input, with the better slopes where ``best``, (B, K)."""
    depth = len(chain.hidden)
    value = lower_bound(chain, depth, function, layers.relaxations, x, threat.support)
    if best and depth:
        pairs = zip(chain.hidden, layers.bounds, strict=True)
        parallel = [relax_by_rule(activation, *interval) for (_, activation), interval in pairs]
        value = torch.maximum(value, lower_bound(chain, depth, function, parallel, x, threat.support))
    if intersect and depth:
        value = torch.maximum(value, last_box_bound(chain, function.rows, function.constant, layers.bounds[-1]))
    return value
