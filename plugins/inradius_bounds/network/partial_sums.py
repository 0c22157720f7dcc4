"""Bounds on the partial sums of a node's execution, which its additions round.

An addition makes an error of at most u times the sum that it computes. That is a sum of some of the node's terms, so it lies
between −N and P, where P adds up the most that each term can be above 0, and N the most below. With k additions in any order
the error is at most u k max(P, N), where γₖ (P + N) is the bound from the sizes alone: up to twice as much.
"""

import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.magnitudes import Magnitudes, counts
from inradius_bounds.rounding import gamma, tiny
from inradius_bounds.steps.weighted import WeightedStep


def partial_sums(node: Node, magnitudes: Magnitudes) -> Tensor | None:
    """A bound on the size of the sum of any of the terms W z and b of a node, (B, *shape); None where only sizes are known.

    It is known for plain steps z -> W z + b whose inputs have a box: with p and n the positive and the negative parts of its
    ends, P − N = W (p + n) + b and P + N = |W| (p − n) + |b|.
    """
    op = node.operator
    step = None if op is None else op.module
    if not isinstance(step, WeightedStep) or step.inside is not None or step.more or step.size is not None:
        return None
    source = node.sources[0]
    values = magnitudes.values
    box = values.box(source) if source.bends or source is values.end else values.known(source)
    if box is None:
        return None
    above, below = box[1].clamp(min=0), box[0].clamp(max=0)
    # of the same box as the difference; the size of the node may be that of an earlier one
    both = node.magnitude(above - below)
    terms = counts(node)[0] + 8
    # the error of the two sums
    error = gamma(terms, magnitudes.dtype) * both + 2 * terms * tiny(magnitudes.dtype)
    return torch.minimum((both + node.value(above + below).abs()) / 2 + error, magnitudes.size(node))
