"""Numbers that surely are not the largest of a window, whose own bounds tighten nothing.

A maximum of many numbers is made by pairs: m = b + relu(a − b), then the larger of m and another maximum. Where the box of the
other lies above that of m, nothing depends on m, and so nothing on a − b.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.network.value_bounds import ValueBounds


def beaten(values: ValueBounds, node: Node) -> Tensor | None:
    """A mask of the numbers of a difference a − b whose extreme is surely not that of its pair, (B, *shape); None for none."""
    found: Tensor | None = None
    for extreme, rival, pair in _pairs(values.network, node):
        (low, high), (low_rival, high_rival) = values.box(extreme), values.box(rival)
        # a tie loses as well, up to rounding; wrong choices would be loose, and not unsound
        lost = high <= low_rival if pair.extreme is torch.maximum else low >= high_rival
        found = lost if found is None else found | lost
    return found


def _pairs(network: Network, node: Node) -> Iterator[tuple[Node, Node, Node]]:
    """The extremes that a difference alone decides, each with the value that it is compared with and with the result."""
    uses = network.uses
    if len(uses[node]) != 1 or len(uses[uses[node][0]]) != 1:
        return
    extreme = uses[uses[node][0]][0]
    if extreme.extreme is None or extreme.sources[1].sources[0] is not node:
        return
    for pair in {behind for use in uses[extreme] for each in uses[use] for behind in uses[each]}:
        if pair.extreme is None or extreme not in pair.compared:
            continue
        first, second = pair.compared
        # nothing else is made of the extreme
        if set(uses[extreme]) <= {pair, pair.sources[0], pair.sources[1].sources[0]}:
            yield extreme, second if first is extreme else first, pair
