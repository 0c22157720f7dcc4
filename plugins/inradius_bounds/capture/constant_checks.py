"""Constants as the model computes them, compared with the same constants in float64."""

import torch

from inradius import UnsupportedError
from inradius_bounds.capture.graph import Graph, Value, values_in
from inradius_bounds.lowering.constants import ConstantStore

# the allowed difference, in roundings of a constant's largest number: that of sums of a thousand terms
_ROOM = 1024


@torch.no_grad()
def check_constants(graph: Graph, dtype: torch.dtype) -> None:
    """Raises ``UnsupportedError`` for a constant that rounding in the model changes by more than it changes sums.

    Such a constant depends on rounding itself: it is the difference of large numbers, or a function with steps.
    """
    exact, own = (ConstantStore(torch.float64, exact=exact, native=dtype) for exact in (True, False))
    for call in graph.calls:
        for value in values_in((call.args, call.kwargs)) if call.varies else ():
            if not value.varies and value.call is not None and not _alike(exact, own, value):
                raise UnsupportedError(
                    f"{value.call.where} computes a constant by {value.call.name} that rounding in {value.dtype} changes by more "
                    "than a thousandth part of its digits; compute it in float64, or store its value"
                )


def _alike(exact: ConstantStore, own: ConstantStore, value: Value) -> bool:
    mine, its = exact.tensor(value), own.tensor(value)
    if its.is_meta:
        where = "the model" if value.call is None else value.call.where
        raise UnsupportedError(
            f"{where} makes a constant without numbers, on the meta device; allowed are constants with numbers"
        )
    if not mine.is_floating_point():
        return bool(torch.equal(mine, its))
    room = (
        _ROOM * torch.finfo(value.dtype).eps * its.abs().nan_to_num(nan=0.0, posinf=0.0).amax() if its.numel() else 0.0
    )
    return bool((((mine - its).abs() <= room) | (mine == its) | (mine.isnan() & its.isnan())).all())
