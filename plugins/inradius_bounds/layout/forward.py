"""Boxes of the layers of a chain, and the property on the last block's input."""

from torch import Tensor

from inradius import Oracles, Property
from inradius_bounds.box import Box
from inradius_bounds.layout.layer_chain import LayerChain


def first_bounds(chain: LayerChain, x: Tensor, threat: Oracles) -> Box:
    """Bounds of the first block's outputs over Δ(x), two of (B, *out), from the set's own oracle."""
    return threat.bound_affine(chain.layers[0].block, x)


def next_bounds(chain: LayerChain, depth: int, before: Box) -> Box:
    """Interval bounds of block ``depth``'s outputs, two of (B, *out), from those of the block before it."""
    _, activation = chain.hidden[depth - 1]
    return chain.layers[depth].block.interval(*activation.rule.interval(activation, *before))


def fold(chain: LayerChain, prop: Property) -> tuple[Tensor, Tensor]:
    """The property as rows and constants on the last block's input, (B, K, *in) and (B, K)."""
    offset = chain.final.offset(prop.weights).flatten()
    rows = chain.final.adjoint(prop.weights.view(*prop.offsets.shape, *chain.final.out_shape))
    return rows, prop.weights @ offset + prop.offsets
