"""A perturbation made a little longer, for attacks that would stop on the boundary."""

import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles

# what rounding needs: it moves the boundary by much less
SHARE = 1e-3


def lengthen(threat: Oracles, delta: Tensor, x: Tensor, share: float = SHARE) -> Tensor:
    """(1 + share) δ within the hard constraints, (B, *S); of a δ within the set no more than leaves the gauge at most 1.

    Whether it still fools is another question. Oracles that know no other radius leave δ as it is where it would leave
    their hard constraints.
    """
    gauge = threat.gauge(delta, x)
    factor = torch.where(gauge <= 1, (1 / gauge).clamp(1, 1 + share), 1 + share)
    longer = delta * expand(factor.to(delta), delta)
    out = (threat.violation(longer, x) > 0).nonzero().squeeze(1)
    if not len(out):
        return longer
    radius = (gauge * factor)[out]
    try:
        ball = threat.select(out).per_example(torch.where(torch.isfinite(radius), radius, 1.0))
    except UnsupportedError:
        return longer.index_copy(0, out, delta[out])
    return longer.index_copy(0, out, ball.project(longer[out], x[out]))
