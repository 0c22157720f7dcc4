"""The exact Wasserstein distance of two samples, and lower bounds on it from a critic."""

import warnings

import attrs
import torch
from torch import Tensor, nn

from inradius_gan.lipschitz import lipschitz_bound

# far more pivots than needed for a few thousand points
_PIVOTS = 10_000_000


def wasserstein_distance(a: Tensor, b: Tensor) -> float:
    """W₁ of the empirical distributions of a (n, *S) and b (m, *S), in the Euclidean norm of the flattened points.

    min Σᵢⱼ Pᵢⱼ ‖aᵢ − bⱼ‖₂ over P ≥ 0 with rows that sum to 1/n and columns that sum to 1/m, by the network simplex of POT.
    Source: bonneel2011.
    """
    import ot

    cost = _distances(a, b).cpu().numpy()
    with warnings.catch_warnings():
        # the distance of a plan that was cut off is not exact
        warnings.simplefilter("error")
        return float(ot.emd2([], [], cost, numItermax=_PIVOTS))


@attrs.frozen
class CriticBounds:
    """Lower bounds on W₁ of two samples from a critic f.

    value: E f(a) − E f(b). lipschitz: a bound L on the Lipschitz constant of f. kantorovich: value / L, at most W₁ of
    the samples; up to the sampling error of the two means, it is also at most W₁ of their distributions. dual: value /
    S with S the steepest slope of f from a point of b to one of a; it is at most W₁ of the samples and at least value /
    L.
    """

    value: float
    lipschitz: float
    kantorovich: float
    dual: float


@torch.no_grad()
def prove(critic: nn.Module, a: Tensor, b: Tensor) -> CriticBounds:
    """Lower bounds on W₁ of the empirical distributions of a (n, *S) and b (m, *S), by Kantorovich and Rubinstein.

    For every plan P from a to b, Σᵢ f(aᵢ) / n − Σⱼ f(bⱼ) / m = Σ Pᵢⱼ (f(aᵢ) − f(bⱼ)) ≤ S Σ Pᵢⱼ ‖aᵢ − bⱼ‖, and S ≤ L.
    """
    high, low = critic(a).flatten().double(), critic(b).flatten().double()
    distances, rises = _distances(a, b), high[:, None] - low
    # where points coincide, the critic's values coincide too
    steepest = float(torch.where(distances > 0, rises / distances, 0.0).max())
    value, bound = float(high.mean() - low.mean()), lipschitz_bound(critic)
    return CriticBounds(value, bound, _share(value, bound), _share(value, steepest))


def _share(value: float, slope: float) -> float:
    """value / slope, and 0 where this is not a bound because the critic falls or is flat."""
    return value / slope if value > 0 and slope > 0 else 0.0


def _distances(a: Tensor, b: Tensor) -> Tensor:
    x, y = (sample.detach().flatten(1).double() for sample in (a, b))
    # by differences of the points, because products lose half of the digits of small distances
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
