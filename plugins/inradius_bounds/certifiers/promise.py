"""The choice of the examples for which alpha over all layers is worth its cost."""

from torch import Tensor, nn

from inradius import Oracles, Property
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers.refutation import smallest

# the largest share that a certified example needed was 0.77, in networks of up to ten layers (benchmarks/cascade_promise.py)
_MOST = 0.85


def promising(model: nn.Module, x: Tensor, threat: Oracles, prop: Property, bounds: Tensor, promise: float) -> Tensor:
    """True where bounds (B, K) are proved if a share of their distance to the values at x is gained, (B,).

    The share is ``promise`` for each layer whose bounds are found anew, which is every non-linear one but the first. It is at
    most 0.85.
    """
    share = min(_MOST, promise * (len(trace(model, x, threat).hidden) - 1))
    worst, known = prop.weakest(bounds.detach()), smallest(model, x, prop).detach()
    return worst.isfinite() & (-worst <= share * (known - worst))
