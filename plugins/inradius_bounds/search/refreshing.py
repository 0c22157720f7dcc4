"""Tighter limits of later curves in domains whose earlier curves were split.

A split leaves the curve's lines tighter, so the numbers behind it get tighter bounds from backward passes over the domain.
"""

import attrs
import torch
from torch import Tensor

from inradius_bounds.backward.inner_bounds import CurveRelaxations, ragged, row_bounds, undecided
from inradius_bounds.lowering.node import Node
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.split_problem import SplitProblem


def refreshed(problem: SplitProblem, domains: Domains, most: int) -> Domains:
    """The domains with tighter limits behind the numbers at which they were just split.

    Values with more than ``most`` undecided numbers in some domain are left as they are.
    """
    network, layout, number = problem.root.network, problem.layout, domains.number
    split_at = torch.zeros_like(number)
    for curve, span in layout.spans.items():
        inside = (number >= span.start) & (number < span.stop)
        split_at = torch.where(inside, network.place[curve], split_at)
    last = int(split_at.min())
    later = [
        node
        for node in network.nodes
        if node in network.curve_inputs and node not in network.affine_nodes and network.place[node] > last
    ]
    if not later:
        return domains
    values = problem.root.select(domains.part)
    values.boxes.update(layout.boxes(values, domains.low, domains.high))
    found, changed = CurveRelaxations(values), False
    for node in network.nodes:
        if node.curved:
            found.add(node, smallest_area)
        elif node in later:
            changed |= _tightened(found, node, split_at < network.place[node], most)
    if not changed:
        return domains
    low, high = layout.limits(values)
    return attrs.evolve(domains, low=torch.maximum(low, domains.low), high=torch.minimum(high, domains.high))


def _tightened(found: CurveRelaxations, node: Node, behind: Tensor, most: int) -> bool:
    """Tightens the box of a node in the domains where it is ``behind`` (D,) the split; returns whether it did."""
    values = found.values
    start = values.boxes[node]
    wanted = undecided(values, node, start).flatten(1) & behind[:, None]
    index, used = ragged(wanted)
    if not index.shape[1] or index.shape[1] > most:
        return False
    lower, upper = row_bounds(found, node, index)
    flat = start[0].flatten(1), start[1].flatten(1)
    examples, rows = used.nonzero(as_tuple=True)
    places = (examples, index[examples, rows])
    low = flat[0].index_put(places, torch.maximum(lower[examples, rows], flat[0][places]))
    high = flat[1].index_put(places, torch.minimum(upper[examples, rows], flat[1][places]))
    values.boxes[node] = low.view_as(start[0]), high.view_as(start[1])
    return True
