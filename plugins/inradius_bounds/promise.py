"""Which examples alpha over all layers is worth its cost for."""

from torch import Tensor, nn

from inradius import Oracles, Property
from inradius_bounds.refutation import smallest
from inradius_bounds.trace import trace

# for deep networks: on no example that was measured was the share larger
_MOST = 0.8


def promising(model: nn.Module, x: Tensor, threat: Oracles, prop: Property, bounds: Tensor, promise: float) -> Tensor:
    """Whether bounds (B, K) are so near to 0 that closing a share of their distance to the values at x proves it, (B,).

    The share is ``promise`` for each non-linear layer, and at most 0.8.
    """
    share = min(_MOST, promise * len(trace(model, x, threat).hidden))
    worst, known = prop.weakest(bounds.detach()), smallest(model, x, prop).detach()
    return worst.isfinite() & (-worst <= share * (known - worst))
