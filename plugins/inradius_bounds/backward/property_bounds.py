"""Bounds of a property, from the rows on a network's result."""

from collections.abc import Mapping, Sequence
from functools import reduce

import torch

from inradius import Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.curve_lines import CurveLines
from inradius_bounds.backward.domain import within_domain
from inradius_bounds.backward.inner_bounds import CurveRelaxations
from inradius_bounds.backward.line_families import LineFamilies
from inradius_bounds.backward.memory import rows_at_once
from inradius_bounds.backward.pass_ends import ClosedRows, lower
from inradius_bounds.backward.product_planes import Planes
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.detached import detached
from inradius_bounds.lowering.node import Node
from inradius_bounds.network.value_bounds import ValueBounds

Lines = CurveLines | LineFamilies | Planes

# the most numbers of rows that are so few that a pass for each family would take longer
_SMALL = 1 << 18
# at least this many rows are pulled together
_AT_LEAST = 16


def property_bounds(
    values: ValueBounds, prop: Property, lines: Mapping[Node, Lines], *, stops: bool = False
) -> ClosedRows:
    """Lower bounds of the property's rows by one backward pass to the input, or with ``stops`` to the curves before it."""
    found = [lower(ended) for ended in _passes(values, prop, lines, stops=stops)]
    return _joined(values, found)


def bounds_on_the_way(
    values: ValueBounds, prop: Property, lines: Mapping[Node, Lines], *, stops: bool = True
) -> list[ClosedRows]:
    """Lower bounds by the pass to the input, and with ``stops`` by the pass that stops at the curves.

    The second is noted during the first where it can be. It is left out where the first settle everything.
    """
    ended = _passes(values, prop, lines, notes=stops)
    found = _joined(values, [lower(each) for each in ended])
    return [found, *_stopped(values, prop, ended)] if stops and not settled(found) else [found]


def _passes(
    values: ValueBounds, prop: Property, lines: Mapping[Node, Lines], *, stops: bool = False, notes: bool = False
) -> list[BackwardPass]:
    """The finished passes of blocks of the property's rows."""
    result = values.network.result
    weights = prop.weights.reshape(*prop.offsets.shape, *result.stored)
    step = rows_at_once(values, values.network.widest) if values.limit is not None else weights.shape[1]
    # a block of rows of each example is small enough, as examples are bounded in parts
    step = max(step, _AT_LEAST)
    parts = zip(torch.split(weights, step, dim=1), torch.split(prop.offsets, step, dim=1), strict=True)
    return [
        BackwardPass(values, lines, {result: DenseRows(rows)}, offsets, stops=stops, notes=notes).run(result)
        for rows, offsets in parts
    ]


def _joined(values: ValueBounds, found: Sequence[ClosedRows]) -> ClosedRows:
    return within_domain(values, found[0] if len(found) == 1 else ClosedRows.joined(found, dim=1))


def _stopped(values: ValueBounds, prop: Property, ended: Sequence[BackwardPass], count: int = 1) -> list[ClosedRows]:
    """The bounds by passes that stop, as they were noted during ``count`` passes for the same rows, else by passes of their own."""
    if values.network.affine:
        return []
    noted = [each.stopped for each in ended if each.stopped is not None]
    if len(noted) < len(ended):
        return [property_bounds(values, prop, {}, stops=True)]
    return [_joined(values, [lower(each).chunks(count)[0] for each in noted])]


def bounds_by_each(
    values: ValueBounds, prop: Property, several: Sequence[CurveRelaxations], *, stops: bool = False
) -> list[ClosedRows]:
    """Lower bounds of the property's rows by the lines of each of several relaxations; in one pass where the rows are small.

    With ``stops`` those of the pass that stops at the curves are among them, unless the first settle everything.
    """
    count, proof = len(several), current_certificate()
    if (
        count == 1
        or (proof is not None and proof.decide)
        or count * prop.offsets.numel() * values.network.widest > _SMALL
    ):
        found = bounds_on_the_way(values, prop, lines_of(several[0]), stops=stops)
        for other in several[1:]:
            if not settled(found[0]):
                found.append(property_bounds(values, prop, lines_of(other)))
        return found
    lines: dict[Node, Lines] = {node: several[0].paying(node) for node in values.network.products}
    for node in several[0].relaxations:
        lines[node] = LineFamilies.of(values, node, [each.relaxations[node] for each in several])
    result = values.network.result
    rows = prop.weights.reshape(*prop.offsets.shape, *result.stored).repeat(1, count, *(1,) * len(result.stored))
    ended = BackwardPass(values, lines, {result: DenseRows(rows)}, prop.offsets.repeat(1, count), notes=stops).run(
        result
    )
    found = [within_domain(values, part) for part in lower(ended).chunks(count)]
    return [*found, *_stopped(values, prop, [ended], count)] if stops else found


def lines_of(found: CurveRelaxations) -> dict[Node, CurveLines | Planes]:
    """The lines of all curves and the planes of all products, with the rounding errors of rows on them."""
    return {node: found.paying(node) for node in (*found.relaxations, *found.values.network.products)}


def settled(found: ClosedRows) -> bool:
    """True if every row is proved and only the verdict is wanted, so that higher bounds change nothing."""
    proof = current_certificate()
    return proof is not None and proof.decide and bool((found.safe > 0).all())


def highest(several: Sequence[ClosedRows]) -> ClosedRows:
    """For each row, the one of several bounds that proves most."""
    return reduce(_higher, several)


def _higher(best: ClosedRows, other: ClosedRows) -> ClosedRows:
    better = detached(other.safe) > detached(best.safe)
    return other.combined(best, lambda mine, its: torch.where(better, mine, its))
