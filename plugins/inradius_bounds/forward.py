"""Box bounds of every layer, and the fold of a property into the last affine block."""

from torch import Tensor

from inradius import Oracles, Property
from inradius_bounds.trace import Chain

Box = tuple[Tensor, Tensor]


def first_bounds(chain: Chain, x: Tensor, threat: Oracles) -> Box:
    """Bounds of the first block's outputs over Δ(x), by the set's own oracle, two of (B, *out)."""
    return threat.bound_affine(chain.stages[0].block, x)


def next_bounds(chain: Chain, depth: int, before: Box) -> Box:
    """Box bounds of block ``depth``'s outputs from those of the block before it."""
    _, activation = chain.hidden[depth - 1]
    return chain.stages[depth].block.interval(*activation.rule.interval(activation, *before))


def interval_bounds(chain: Chain, x: Tensor, threat: Oracles) -> list[Box]:
    """Bounds of the input of every non-linear layer; the set enters at the first block only."""
    bounds: list[Box] = []
    for depth in range(len(chain.hidden)):
        bounds.append(first_bounds(chain, x, threat) if depth == 0 else next_bounds(chain, depth, bounds[-1]))
    return bounds


def fold(chain: Chain, prop: Property) -> tuple[Tensor, Tensor]:
    """The property as rows and constants on the last block's input, (B, K, *in) and (B, K)."""
    offset = chain.final.offset(prop.weights).flatten()
    rows = chain.final.adjoint(prop.weights.view(*prop.offsets.shape, *chain.final.out_shape))
    return rows, prop.weights @ offset + prop.offsets


def last_box_bound(chain: Chain, rows: Tensor, constant: Tensor, bounds: Box) -> Tensor:
    """Lower bounds of rows · z + constant, z the last block's input, from the bounds of the last non-linear layer, (B, K)."""
    activation = chain.hidden[-1][1]
    return constant + box_minimum(rows, activation.rule.interval(activation, *bounds))


def box_minimum(rows: Tensor, box: Box) -> Tensor:
    """min of each row over a box, (B, K, *in), two of (B, *in) -> (B, K)."""
    center, radius = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
    flat = rows.flatten(2)
    return (flat @ center.flatten(1)[..., None] - flat.abs() @ radius.flatten(1)[..., None]).squeeze(2)
