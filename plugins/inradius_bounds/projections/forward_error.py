"""The rounding errors of bounds that rest on estimates of inner layers: a forward recursion over magnitudes.

At every layer, computed bounds may be off by E. A block z -> A z + b turns this into |A| E + γ (|A| m + |b|). There m bounds
the block's inputs, and γ = (n + 8) u covers sums of n terms in any order (Higham 2002, section 3.1). Underflow adds its share
at every step. A non-linear layer keeps E where its neurons are decided beyond E. It doubles E where its relaxation rests on
bounds that are off by E.
"""

import torch
from torch import Tensor

from inradius import Operator, Oracles, Property
from inradius_bounds.box import Box
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.rules.relax import Relax, relax_by_rule


@torch.no_grad()
def forward_error(
    chain: LayerChain, x: Tensor, threat: Oracles, bounds: list[Box], prop: Property, *, relax: Relax = relax_by_rule
) -> Tensor:
    """An upper bound on the rounding error of lower bounds of the property that rest on these relaxations, (B, K)."""
    low, high = threat.hull(x)
    size = torch.maximum((x + low).abs(), (x + high).abs())
    error = torch.zeros_like(size)
    terms, tiny = x.shape[1:].numel(), torch.finfo(x.dtype).smallest_normal
    # the most that underflow takes from the rows of all blocks so far, in one backward pass, (B,)
    lost = tiny * terms * (8 + size.flatten(1).amax(1))
    for (block, activation), interval in zip(chain.hidden, bounds, strict=True):
        lost = lost + _lost(block, size)
        error = _through_block(block, size, error, terms) + _wide(lost, len(block.out_shape))
        size, error = _through_activation(activation, interval, error, relax)
        terms = size.shape[1:].numel()
    lost = lost + _lost(chain.final, size)
    error = _through_block(chain.final, size, error, terms).flatten(1)
    rows, unit = prop.weights.abs(), torch.finfo(x.dtype).eps / 2
    logits = _magnitude(chain.final, size).flatten(1)
    own = (rows.shape[2] + 8) * unit * ((rows @ logits[..., None]).squeeze(2) + prop.offsets.abs())
    return (rows @ error[..., None]).squeeze(2) + own + lost[:, None] + tiny * (rows.shape[2] + 8)


def _wide(lost: Tensor, axes: int) -> Tensor:
    return lost.view(-1, *(1,) * axes)


def _lost(block: AffineBlock, size: Tensor) -> Tensor:
    """The most that underflow takes from a row on a block's output, for values no larger than ``size`` (B, *in), (B,).

    Each product may lose the smallest normal number, because kernels may flush smaller ones. A loss of a row on one number
    changes its bound by that loss times the number's size.
    """
    products = sum(op.rule.terms(op) + op.rule.fan(op) for op in block.ops) + 8
    tiny = torch.finfo(size.dtype).smallest_normal
    return tiny * (products * size.flatten(1).sum(1) + 8 * (size[0].numel() + block.out_shape.numel()))


def _through_block(block: AffineBlock, size: Tensor, error: Tensor, terms: int) -> Tensor:
    """E at a block's outputs, (B, *out)."""
    unit, tiny = torch.finfo(size.dtype).eps / 2, torch.finfo(size.dtype).smallest_normal
    # A forward sum runs over the block's own taps, and a backward sum over the rows that meet in one input. A bound is computed
    # in one of the two ways. A backward pass adds up every input once more when its rows are closed.
    forth, back = (sum(count(op) for op in block.ops) for count in (_terms, _fan))
    products = terms + max(forth, back) + 4 * len(block.ops) + 8
    gamma = products * unit
    return gamma * _magnitude(block, size + (error + tiny * products) / gamma) + tiny * products


def _terms(op: Operator) -> int:
    return op.rule.terms(op)


def _fan(op: Operator) -> int:
    return op.rule.fan(op)


def _magnitude(block: AffineBlock, size: Tensor) -> Tensor:
    for op in block.ops:
        size = op.rule.magnitude(op, size)
    return size


def _through_activation(op: Operator, interval: Box, error: Tensor, relax: Relax) -> tuple[Tensor, Tensor]:
    """Magnitudes and E at a non-linear layer's outputs, two of (B, *out)."""
    lower, upper = interval[0] - error, interval[1] + error
    low, high = op.rule.interval(op, lower, upper)
    relaxed = relax(op, lower, upper)
    slope = torch.maximum(relaxed.lower_slope.abs(), relaxed.upper_slope.abs())
    loose = op.rule.undecided(op, lower, upper)
    error = torch.where(loose, (1 + slope) * error, slope * error)
    # where the layer has no bounds, nothing that rests on it is proved
    return torch.maximum(low.abs(), high.abs()), torch.where(op.rule.known(op, lower, upper), error, torch.inf)
