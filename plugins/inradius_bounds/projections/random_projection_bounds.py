"""Estimates of the bounds of every layer from one family of random vectors, which is carried from layer to layer.

The radius around a layer's middle is the sum of norms ‖row · W_s‖₁ over the sources s of freedom: the set, and the band of each
relaxation below. With standard Cauchy vectors c_s, the sum Σ_s row · W_s c_s is a Cauchy number whose scale is that sum of
norms. So the vectors of all sources are added as they pass, and one pass to the last layer gives the estimates of every layer.
The freedom of the last relaxation passes one block alone, whose norms are known. Source: wong2018scaling.
"""

from functools import cache

import attrs
import torch
from torch import Tensor

from inradius import ExampleRNG, Oracles
from inradius_bounds.box import Box
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.forward import first_bounds, next_bounds
from inradius_bounds.layout.layer_bounds import LayerBounds
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.projections.norm_estimates import draws, norms
from inradius_bounds.rules.relax import relax_by_rule

# the size of a table of 16 MiB that is drawn once, and read from a random place for each vector
_TABLE = 1 << 22

Sketch = tuple[Tensor, Tensor, float]


@attrs.define(eq=False)
class CarriedVectors:
    """The middle of a layer's inputs (B, *in), and products with random vectors (B, k, *in) by the order of their norm."""

    middle: Tensor
    products: dict[float, Tensor]

    def through(self, block: AffineBlock) -> "CarriedVectors":
        """The middle and the products behind a block."""
        found = {}
        for order, vectors in self.products.items():
            flat = block(vectors.flatten(0, 1))
            found[order] = (flat - block.offset(flat)).view(*vectors.shape[:2], *block.out_shape)
        return CarriedVectors(block(self.middle), found)

    def radius(self) -> Tensor:
        """The sum of the norms, estimated by medians, (B, *in)."""
        return torch.stack([norms(products, order, "median", 0.5) for order, products in self.products.items()]).sum(0)


def carried_bounds(
    chain: LayerChain, x: Tensor, threat: Oracles, sketch: Sketch, rng: ExampleRNG, projections: int
) -> LayerBounds:
    """Bounds of the input of every non-linear layer. Those of the first are exact, and the others are estimates."""
    found = LayerBounds()
    middle, width, order = sketch
    carried = CarriedVectors(x + middle, {order: width[:, None] * vectors(order, rng.fork(0), projections, width)})
    for depth, (block, activation) in enumerate(chain.hidden):
        if depth == 0:
            interval = first_bounds(chain, x, threat)
            if len(chain.hidden) > 1:
                carried = carried.through(block)
        else:
            last = depth == len(chain.hidden) - 1 and block.exact_interval
            carried, near = _next(found, carried, block, None if last else rng.fork(depth), projections)
            interval = _within(carried.middle, carried.radius() + near, next_bounds(chain, depth, found.bounds[-1]))
        found.add(activation, interval, relax_by_rule)
    return found


def _next(
    before: LayerBounds, carried: CarriedVectors, block: AffineBlock, rng: ExampleRNG | None, projections: int
) -> tuple[CarriedVectors, Tensor]:
    """The vectors behind the last relaxation and a block, and the exact radius of the relaxation's band, (B, *out).

    With ``rng`` the band adds random vectors of its own instead, and the radius is 0.
    """
    relaxed = before.relaxations[-1]
    slope, (lift, band) = relaxed.lower_slope, relaxed.band
    passed = {order: vectors * slope[:, None] for order, vectors in carried.products.items()}
    near = torch.zeros((), dtype=band.dtype, device=band.device)
    if rng is not None:
        own = band[:, None] * vectors(1.0, rng, projections, band)
        passed[1.0] = passed[1.0] + own if 1.0 in passed else own
    else:
        lower, upper = block.interval(-band, band)
        near = (upper - lower) / 2
    return CarriedVectors(slope * carried.middle + lift, passed).through(block), near


def _within(middle: Tensor, radius: Tensor, box: Box) -> Box:
    """The interval around a middle, or the box where that is tighter."""
    return torch.maximum(box[0], middle - radius), torch.minimum(box[1], middle + radius)


def vectors(order: float, rng: ExampleRNG, count: int, like: Tensor) -> Tensor:
    """Standard Cauchy (order 1) or normal (order 2) vectors, (B, count, *S) for ``like`` (B, *S), as pieces of a table."""
    size = like[0].numel()
    if 4 * size > _TABLE:
        return draws(order, rng, count, like)
    table = _table(order, like.dtype, like.device)
    first = rng.integers(0, _TABLE - size, (count,)).to(like.device)
    return table.unfold(0, size, 1).index_select(0, first.flatten()).view(len(like), count, *like.shape[1:])


@cache
def _table(order: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    one = torch.zeros(1, 1, dtype=dtype, device=device)
    with torch.inference_mode(False), torch.no_grad():
        return draws(order, ExampleRNG(0, torch.zeros(1, dtype=torch.int64)), _TABLE, one).flatten()
