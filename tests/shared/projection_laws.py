"""Laws of random projections: norms from products, and bounds that hold as often as they say."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ExampleRNG, Property, ThreatModel
from inradius_bounds.certifiers import projected
from inradius_bounds.projections.norm_estimates import draws, norms, slack

F64 = torch.float64
STREAMS = ExampleRNG(0, torch.arange(2))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48, 20),
        nn.ReLU(),
        nn.Linear(20, 15),
        nn.ReLU(),
        nn.Linear(15, 3),
    ).double()


def images(count=6):
    return torch.rand(count, 1, 6, 6, dtype=F64, generator=torch.Generator().manual_seed(0))


def a_bound_fails_no_more_often_than_it_says(order, failure):
    """4000 independent bounds of one norm, k = 10; three deviations of the count are allowed."""
    row, trials = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64), 4000
    rng = ExampleRNG(3, torch.arange(trials))
    products = (draws(order, rng, 10, torch.zeros(trials, 4, dtype=F64)) @ row)[..., None]
    failed = (norms(products, order, "geometric", failure)[:, 0] < row.norm(p=order)).double().mean()
    assert float(failed) <= failure + 3 * math.sqrt(failure / trials)
    # and it is no idle bound: χ² is exact, Chernoff within a factor
    assert float(failed) >= failure / (1.5 if order == 2 else 20)


def chernoff(count, level):
    """The least (e^{−tL} / cos(πt/2))^k over t, and that t, by a search that knows no formula for it."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda t: -t * level - math.log(math.cos(math.pi * t / 2)),
        bounds=(0, 1 - 1e-12),
        method="bounded",
        options={"xatol": 1e-13},
    )
    return math.exp(count * found.fun), found.x


def tail(count, level):
    """P(∏|Cᵢ|^{1/k} ≤ e^{−L}) of k standard Cauchy numbers, by inverting E ∏|Cᵢ|^{−s} = cos(πs/2)^{−k} along Re s = t.

    The integrand is analytic and falls as e^{−kπu/2}, so that the trapezoidal rule is exact to rounding.
    """
    _, place = chernoff(count, level)
    place = min(max(place, 0.02), 0.98)
    u = np.linspace(0, 60 / count**0.5, 200001)
    s = place + 1j * u
    # log cos(πs/2) without overflow: e^{πu/2} taken out
    log_cos = math.pi * u / 2 + np.log(
        (np.exp(1j * math.pi * place / 2 - math.pi * u) + np.exp(-1j * math.pi * place / 2)) / 2
    )
    value = np.exp(-count * (level * s + log_cos)) / s
    return float(np.trapezoid(value.real, u) / math.pi)


def the_tail_is_that_of_cauchy_numbers():
    """The inversion against the closed form for one number, and against a simulation."""
    assert tail(1, 0.7) == pytest.approx(2 / math.pi * math.atan(math.exp(-0.7)), rel=1e-9)
    sizes = draws(1.0, ExampleRNG(5, torch.arange(1)), 4 * 200_000, torch.zeros(1, 1, dtype=F64)).view(-1, 4).abs()
    found = float((sizes.log().mean(1) <= -0.8).double().mean())
    assert found == pytest.approx(tail(4, 0.8), rel=0.03)


def the_slack_is_chernoffs(count, failure):
    """The true probability is at most what is stated, and what is stated is the bound's own value: no more is given away."""
    level = slack(count, failure)
    bound, tilt = chernoff(count, level)
    assert bound == pytest.approx(failure, rel=1e-6)
    true = tail(count, level)
    assert true <= failure
    # Bahadur and Rao: Chernoff's bound is above the tail by about t σ √(2πk), σ the deviation of log|C| under the tilt
    deviation = math.pi / 2 / math.cos(math.pi * tilt / 2)
    assert true >= failure / (2 + 2 * tilt * deviation * math.sqrt(2 * math.pi * count))


def normal_numbers_have_the_quantile_of_chi_square(count, failure):
    """P(‖g‖² ≤ q) = P(k/2, q/2), the regularised gamma function, at the q by which the sum of squares is divided."""
    from scipy.special import gammainc

    products = torch.full((1, count, 1), 2.0, dtype=F64)
    bound = float(norms(products, 2.0, "geometric", failure))
    assert gammainc(count / 2, 4.0 * count / bound**2 / 2) == pytest.approx(failure, rel=1e-6)


def the_shares_of_all_estimates_make_the_failure(failure, spec, monkeypatch):
    """Boole: the chances of every estimate of one example add up to no more than the certificate says, nor to much less."""
    spent = []

    def counted(products, order, estimator, share):
        assert estimator == "geometric"
        spent.append(share * products.shape[2:].numel())
        return norms(products, order, estimator, share)

    monkeypatch.setattr(projected, "norms", counted)
    net, x = network(), images(2)
    certifier = inradius.make(f"projected(projections=20, failure={failure})", Certifier)
    with torch.no_grad():
        found = certifier.lower_bound(
            net, x, inradius.make(spec, ThreatModel), Property.margins(net(x).argmax(1), 3, dtype=F64), STREAMS
        )
    # two bounded layers: of 20 units from the set and one layer, of 15 from the set and two
    assert len(spent) == 2 + 3
    assert found.failure_probability == failure
    assert failure * 0.999 <= sum(spent) <= failure * (1 + 1e-12)
