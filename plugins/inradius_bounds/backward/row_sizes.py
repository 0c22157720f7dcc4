"""The sizes of rows on their way to the input, from which the number of rows that fit into memory follows."""

import torch

from inradius_bounds.lowering.node import Node
from inradius_bounds.network.network import Network
from inradius_bounds.steps.window_maximum import WindowMaximum

Extent = tuple[int, int]


def numbers_of_row(network: Network, start: Node) -> int:
    """The most entries that a row on one number of ``start`` has on its way to the input; behind convolutions it is a window."""
    seen: dict[Node, Extent | None] = {start: (1, 1) if len(start.stored) == 3 else None}
    most = 1
    for place in range(network.place[start], 0, -1):
        node = network.nodes[place]
        if node not in seen:
            continue
        for source in node.sources:
            extent = _wider(seen[node], node, source)
            known = seen.get(source, extent)
            seen[source] = (
                None if extent is None or known is None else (max(extent[0], known[0]), max(extent[1], known[1]))
            )
            most = max(most, _numbers(seen[source], source.stored))
    return most


def _wider(extent: Extent | None, node: Node, source: Node) -> Extent | None:
    """The extent of pixels of a source that pixels of a node are made of; None for all of the source's numbers."""
    if extent is None or len(source.stored) != 3:
        return None
    if isinstance(node.product, WindowMaximum):
        return extent[0] * node.product.size[0], extent[1] * node.product.size[1]
    if node.product is not None:
        return None
    if node.curved or (node.join is not None and node.join.adds):
        return extent
    op = node.operator
    step = None if op is None else op.rule.window(op)
    if op is None or step is None:
        return None
    reach = getattr(op.module, "kernel_size", (1, 1))
    gaps = getattr(op.module, "dilation", (1, 1))
    stride = step[0]
    found = [(extent[a] - 1) * stride[a] + gaps[a] * (reach[a] - 1) + 1 for a in (0, 1)]
    return min(found[0], source.stored[1]), min(found[1], source.stored[2])


def _numbers(extent: Extent | None, shape: torch.Size) -> int:
    return shape.numel() if extent is None else shape[0] * extent[0] * extent[1]
