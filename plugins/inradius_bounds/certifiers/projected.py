"""The certifier ``projected``: bounds of inner layers through random projections, linear in the number of hidden units."""

from functools import partial
from typing import get_args

import attrs
import torch
from attrs.validators import in_
from torch import Tensor, nn

from inradius import Bounds, Certifier, ExampleRNG, Operator, Oracles, Property, Relaxation, UnsupportedError
from inradius.components.validators import as_float, count
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.property_bounds import bounds_on_the_way, highest
from inradius_bounds.box import Box
from inradius_bounds.capture.trace import trace
from inradius_bounds.layout.forward import first_bounds, next_bounds
from inradius_bounds.layout.layer_bounds import LayerBounds, by_node
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.projections.forward_error import forward_error
from inradius_bounds.projections.norm_estimates import Estimator, draws, norms
from inradius_bounds.projections.random_projection_bounds import Sketch, carried_bounds
from inradius_bounds.rules.relax import relax_by_rule


def _probability(_: object, field: "attrs.Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(
            f"{field.name}={value!r} is not a probability; allowed are numbers between 0 and 1, both left out"
        )


@attrs.frozen(kw_only=True)
class Projected(Certifier):
    """Bounds the margins as ``dual`` does, with the norms behind the bounds of inner layers estimated by projections.

    Instead of a backward row for each neuron, ``projections`` random vectors run forward through the linear dual network, from
    the input and from every layer. So the cost grows linearly with the number of neurons. Interval bounds are kept where they
    are tighter. ``estimator="geometric"`` gives certificates that fail with probability ``failure`` for each example. Every
    estimate is then an upper bound except with an equal share of that probability, and each bounded layer has fresh
    projections. ``estimator="median"`` gives estimates for training, and no certificate. It carries one family of vectors,
    pieces of a table of random numbers, through all layers. It is for sets whose support function is a norm: ℓ∞ and ℓ2. Source:
    wong2018scaling, thesis 3.4.5 and 3.4.6.
    """

    widens = True

    # Wong et al. 2018 use 50 in training; a certificate needs more, because its bound is a factor above the norm that falls
    # with their number
    projections: int = attrs.field(default=50, validator=count)
    estimator: Estimator = attrs.field(default="geometric", validator=in_(get_args(Estimator)))
    failure: float = attrs.field(default=0.01, validator=_probability, converter=as_float)

    def lower_bound(self, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, rng: ExampleRNG) -> Bounds:
        sketch = threat.sketch(x)
        if sketch is None or sketch[2] not in (1.0, 2.0):
            raise UnsupportedError(
                f"the support function of {threat} is no ℓ1 or ℓ2 norm, so that projected cannot estimate it; allowed are "
                "sets such as linf and l2"
            )
        chain = trace(model, x, threat)
        layers = self._layers(chain, x, threat, sketch, rng)
        value = _closed(chain, layers, x, threat, prop)
        if self.estimator == "median":
            return Bounds(value, failure_probability=1.0, error=self._refuse)
        error = partial(forward_error, chain, x, threat, layers.bounds, prop)
        return Bounds(value, failure_probability=self.failure, error=error)

    def _refuse(self) -> Tensor:
        raise UnsupportedError(
            f"{self} estimates bounds to train on and certifies nothing; certify with estimator='geometric', or with dual"
        )

    def _layers(self, chain: LayerChain, x: Tensor, threat: Oracles, sketch: Sketch, rng: ExampleRNG) -> LayerBounds:
        if self.estimator == "median":
            found = carried_bounds(chain, x, threat, sketch, rng, self.projections)
            for (_, activation), relaxed in zip(chain.hidden, found.relaxations, strict=True):
                _check_linear(activation, relaxed)
            return found
        found = LayerBounds()
        share = self.failure / max(1, _estimates(chain))
        for depth, (_, activation) in enumerate(chain.hidden):
            if depth == 0:
                interval = first_bounds(chain, x, threat)
            else:
                interval = self._interval(chain, depth, x, sketch, found, rng.fork(depth), share)
            found.add(activation, interval, relax_by_rule)
            _check_linear(activation, found.relaxations[-1])
        return found

    def _interval(
        self,
        chain: LayerChain,
        depth: int,
        x: Tensor,
        sketch: Sketch,
        before: LayerBounds,
        rng: ExampleRNG,
        share: float,
    ) -> Box:
        """Bounds of one layer's inputs: the linear network's value at the middle, and the norms around it."""
        middle, width, order = sketch
        center = _forward(chain, 0, depth, before, (x + middle)[:, None], constant=True)[:, 0]
        sources = [(0, width, order)]
        sources += [(level + 1, relaxed.band[1], 1.0) for level, relaxed in enumerate(before.relaxations)]
        radius = torch.zeros_like(center)
        for place, (start, scale, norm) in enumerate(sources):
            vectors = scale[:, None] * draws(norm, rng.fork(place), self.projections, scale)
            products = _forward(chain, start, depth, before, vectors, constant=False)
            radius = radius + norms(products, norm, self.estimator, share)
        # the factor covers the products' own rounding
        radius = radius * (1 + 1e4 * torch.finfo(radius.dtype).eps)
        lower, upper = next_bounds(chain, depth, before.bounds[-1])
        return torch.maximum(lower, center - radius), torch.minimum(upper, center + radius)


def _closed(chain: LayerChain, layers: LayerBounds, x: Tensor, threat: Oracles, prop: Property) -> Tensor:
    """Lower bounds of the property over the bounds of all layers, (B, K), without rounding errors."""
    values = ValueBounds(chain.network, x, threat, None)
    for layer, (lower, upper) in zip(chain.layers, layers.bounds, strict=False):
        boxes = zip(layer.target.nodes, layer.target.split(lower), layer.target.split(upper), strict=True)
        values.boxes |= {node: (low, high) for node, low, high in boxes}
    lines = {node: CurveLines.of(values, node, relaxed) for node, relaxed in by_node(chain, layers.relaxations).items()}
    return highest(bounds_on_the_way(values, prop, lines)).value


def _forward(
    chain: LayerChain, start: int, depth: int, before: LayerBounds, vectors: Tensor, *, constant: bool
) -> Tensor:
    """Vectors (B, k, *in of block ``start``) through the linear dual network to the outputs of block ``depth``.

    With ``constant`` they are points, and get the biases and the middles of the lines. Without, they are directions.
    """
    examples, count = vectors.shape[:2]
    for level in range(start, depth + 1):
        block = chain.layers[level].block
        flat = block(vectors.flatten(0, 1))
        if not constant:
            flat = flat - block.offset(flat)
        vectors = flat.view(examples, count, *block.out_shape)
        if level < depth:
            relaxed = before.relaxations[level]
            vectors = vectors * relaxed.lower_slope[:, None]
            if constant:
                vectors = vectors + relaxed.band[0][:, None]
    return vectors


def _check_linear(activation: Operator, relaxed: Relaxation) -> None:
    """Raises ``UnsupportedError`` where the relaxation has lines of two slopes."""
    if not relaxed.parallel:
        raise UnsupportedError(
            f"the rule of {activation.path} has lines of two slopes, so that the dual network is not linear and "
            "projected has no norms to estimate; allowed are rules whose relax uses one slope"
        )


def _estimates(chain: LayerChain) -> int:
    """The number of norms that one example's bounds rest on."""
    return sum((depth + 1) * block.out_shape.numel() for depth, (block, _) in enumerate(chain.hidden) if depth)
