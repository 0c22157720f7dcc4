"""Numbers that surely are not the largest of a window, whose own bounds tighten nothing.

A maximum of many numbers is made by pairs: m = b + relu(a − b), then the larger of m and another maximum. Where the box of the
other lies above that of m, nothing depends on m, and so nothing on a − b. The other may be another part of m itself: maxima over
windows are made along one axis first, and then along the next.
"""

import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.steps.move import Move


def beaten(values: ValueBounds, node: Node) -> Tensor | None:
    """A mask of the numbers of a difference a − b whose extreme is surely not that of its pair, (B, *shape); None for none."""
    extreme = decided(values.network, node)
    if extreme is None:
        return None
    moves = values.network.uses[extreme]
    if moves and all(_moved(move) for move in moves):
        return _beaten_everywhere(values, extreme, moves)
    return _beaten(values, extreme)


def decided(network: Network, node: Node) -> Node | None:
    """The extreme b + relu(a − b) or a − relu(a − b) that a difference a − b alone decides; None for other nodes."""
    uses = network.uses
    if len(uses[node]) != 1 or len(uses[uses[node][0]]) != 1:
        return None
    extreme = uses[uses[node][0]][0]
    return extreme if extreme.extreme is not None and extreme.sources[1].sources[0] is node else None


def _beaten(values: ValueBounds, value: Node) -> Tensor | None:
    """A mask of the numbers of a value that lose against those that it is compared with; None where it is used otherwise."""
    network = values.network
    pair = _pair(network, value)
    if pair is None:
        return None
    first, second = pair.compared
    (low, high), (low_rival, high_rival) = values.box(value), values.box(second if first is value else first)
    # a tie loses as well, up to rounding; wrong choices would be loose, and not unsound
    return high <= low_rival if pair.extreme is torch.maximum else low >= high_rival


def _beaten_everywhere(values: ValueBounds, extreme: Node, moves: list[Node]) -> Tensor | None:
    """A mask of the numbers of an extreme that lose at each place that they are moved to; None where a move is used otherwise."""
    needed: Tensor | None = None
    for move in moves:
        lost = _beaten(values, move)
        if lost is None:
            return None
        back = move.required_operator.module.adjoint((~lost).to(values.x.dtype)[:, None])[:, 0]
        needed = back if needed is None else needed + back
    return None if needed is None else needed == 0


def _moved(node: Node) -> bool:
    return node.operator is not None and isinstance(node.operator.module, Move)


def _pair(network: Network, value: Node) -> Node | None:
    """The extreme of a value and another one, from which alone all is made that is made of the value."""
    uses = network.uses
    for pair in {behind for use in uses[value] for each in uses[use] for behind in uses[each]}:
        if pair.extreme is None or value not in pair.compared:
            continue
        if set(uses[value]) <= {pair, pair.sources[0], pair.sources[1].sources[0]}:
            return pair
    return None
