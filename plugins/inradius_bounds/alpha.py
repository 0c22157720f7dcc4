"""The backward pass with slopes found by ascent."""

from functools import partial
from typing import Literal, get_args

import attrs
import torch
from attrs.validators import in_
from torch import Tensor, nn

from inradius import Bounds, Certifier, Oracles, Property, Streams
from inradius.validators import count, flag
from inradius_bounds.backward import Rows
from inradius_bounds.crown import closed
from inradius_bounds.forward import Box, fold
from inradius_bounds.inner_slopes import tightened
from inradius_bounds.layer_bounds import LayerBounds, layer_bounds
from inradius_bounds.relax import smallest_area, steepest
from inradius_bounds.rounding import rounding_error
from inradius_bounds.slopes import ascended
from inradius_bounds.trace import Chain, trace

Layers = Literal["final", "all"]


@attrs.frozen(kw_only=True)
class Alpha(Certifier):
    """Bounds the margins as ``crown`` does, and finds better slopes for the examples that this leaves open.

    Every line between the first and the last one below a neuron is sound. ``steps`` of ascent give each margin of an open
    example slopes of its own, over the bounds of inner layers that ``crown`` has: with one hidden layer the maximum is the
    optimum of the LP relaxation. With ``layers="all"`` the examples that are still open get bounds of inner layers found in
    the same way, undecided neuron by undecided neuron, and then their margins once more. An example is done as soon as it
    is certified; with ``keep_maximising`` every example takes every step. Source: xu2021.
    """

    widens = True

    # Xu et al. 2021: 20 steps; the residual gap to the LP is below a hundredth by then
    steps: int = attrs.field(default=20, validator=count)
    layers: Layers = attrs.field(default="final", validator=in_(get_args(Layers)))
    keep_maximising: bool = attrs.field(default=False, validator=flag)

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: Streams) -> Bounds:
        chain = trace(model, x, threat)
        layers = layer_bounds(chain, x, threat, relax=smallest_area)
        function = Rows(*fold(chain, prop))
        value = closed(chain, function, layers, x, threat, intersect=True, best=True)
        if not chain.hidden:
            return Bounds(value, exact=threat.tight, error=partial(rounding_error, chain, x, threat, [], prop))
        boxes = [layers.bounds]
        value = self._raised(chain, function, layers.bounds, x, threat, value)
        if self.layers == "all" and len(chain.hidden) > 1:
            value, inner = self._with_all(chain, function, layers, x, threat, value)
            boxes.append(inner)
        return Bounds(value, error=partial(_error, chain, x, threat, boxes, prop))

    @property
    def _goal(self) -> float:
        return float("inf") if self.keep_maximising else 0.0

    def _open(self, value: Tensor) -> Tensor:
        """The examples with a row that is not proved."""
        return (value.detach() <= self._goal).any(1).nonzero().squeeze(1)

    def _raised(
        self, chain: Chain, function: Rows, boxes: list[Box], x: Tensor, threat: Oracles, value: Tensor
    ) -> Tensor:
        """``value`` (B, K), raised by slopes of their own for the rows of examples that it leaves open."""
        index = self._open(value)
        if not len(index):
            return value
        part = Rows(function.rows[index], function.constant[index])
        intervals = [(lower[index], upper[index]) for lower, upper in boxes]
        found = ascended(chain, part, intervals, x[index], threat.select(index), self.steps, goal=self._goal)
        return value.index_put((index,), torch.maximum(value[index], found))

    def _with_all(
        self, chain: Chain, function: Rows, layers: LayerBounds, x: Tensor, threat: Oracles, value: Tensor
    ) -> tuple[Tensor, list[Box]]:
        """``value`` raised over tighter bounds of inner layers, and those bounds, where examples are open."""
        index = self._open(value)
        if not len(index):
            return value, layers.bounds
        bounds = [(lower[index], upper[index]) for lower, upper in layers.bounds]
        part, chosen = Rows(function.rows[index], function.constant[index]), threat.select(index)
        inner = tightened(chain, bounds, x[index], chosen, self.steps)
        found = closed(chain, part, inner, x[index], chosen, intersect=True, best=True)
        found = self._raised(chain, part, inner.bounds, x[index], chosen, found)
        merged = [
            tuple(whole.index_put((index,), side) for whole, side in zip(before, after, strict=True))
            for before, after in zip(layers.bounds, inner.bounds, strict=True)
        ]
        return value.index_put((index,), torch.maximum(value[index], found)), [(low, high) for low, high in merged]


def _error(chain: Chain, x: Tensor, threat: Oracles, boxes: list[list[Box]], prop: Property) -> Tensor:
    """The rounding error of bounds over any of the boxes; slopes between the lines are no steeper than the steepest."""
    errors = [rounding_error(chain, x, threat, bounds, prop, relax=steepest) for bounds in boxes]
    return torch.stack(errors).amax(0)
