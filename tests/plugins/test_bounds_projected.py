"""Random projections: norms from products, bounds that hold as often as they say, and estimates that only train."""

import math

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, SpecError, Streams, ThreatModel, UnsupportedError
from inradius_bounds.carried import vectors
from inradius_bounds.norm_estimates import draws, norms, slack

F64 = torch.float64


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


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_estimates_approach_the_norms(order):
    matrix = torch.randn(5, 7, dtype=F64, generator=torch.Generator().manual_seed(1))
    exact = matrix.norm(p=order, dim=1)
    rng = Streams(0, torch.arange(1))
    products = draws(order, rng, 20000, torch.zeros(1, 7, dtype=F64)) @ matrix.T
    torch.testing.assert_close(norms(products, order, "median", 0.5)[0], exact, rtol=0.05, atol=0)
    bound = norms(products, order, "geometric", 1e-3)[0]
    assert bool((bound >= exact).all())
    assert bool((bound <= 1.15 * exact).all())


@pytest.mark.parametrize("order", [1.0, 2.0])
@pytest.mark.parametrize("failure", [0.3, 0.05])
def test_a_bound_fails_no_more_often_than_it_says(order, failure):
    """4000 independent bounds of one norm, k = 10; three deviations of the count are allowed."""
    row, trials = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64), 4000
    rng = Streams(3, torch.arange(trials))
    products = (draws(order, rng, 10, torch.zeros(trials, 4, dtype=F64)) @ row)[..., None]
    failed = (norms(products, order, "geometric", failure)[:, 0] < row.norm(p=order)).double().mean()
    assert float(failed) <= failure + 3 * math.sqrt(failure / trials)
    # and it is no idle bound: χ² is exact, Chernoff within a factor
    assert float(failed) >= failure / (1.5 if order == 2 else 20)


def test_more_projections_leave_less_slack():
    found = [slack(count, 1e-6) for count in (10, 50, 200, 1000)]
    assert found == sorted(found, reverse=True)
    # the thesis's example, 3.4.6, is on the safe side
    assert 0.15 < slack(200, 0.26) <= -math.log(1 - 0.22)


@pytest.mark.parametrize("spec", ["linf(eps=0.02)", "linf(eps=0.05, bounds=None)", "l2(eps=0.1)"])
def test_certificates_lie_between_interval_and_dual_and_below_attacks(spec):
    net, x = network(), images()
    y, threat = net(x).argmax(1), inradius.make(spec, ThreatModel)
    certifier = inradius.make("projected(projections=2000, failure=0.001)", Certifier)
    found = certifier(net, x, y, threat)
    assert found.failure_probability == 0.001
    lower = found.lower.amin(1)
    boxes, dual = (inradius.make(kind, Certifier)(net, x, y, threat).lower.amin(1) for kind in ("interval", "dual"))
    assert bool((lower >= boxes - 1e-9).all())
    assert bool((lower - boxes >= 0.5 * (dual - boxes) - 1e-9).all())
    attack = inradius.make("pgd(steps=20, objective=margin(), keep_maximising=True)", Attack)
    assert bool((lower <= attack(net, x, y, threat).margin + 1e-9).all())
    alone = torch.cat(
        [certifier(net, x[i : i + 1], y[i : i + 1], threat, index=torch.tensor([i])).lower for i in range(6)]
    )
    torch.testing.assert_close(alone, found.lower, rtol=1e-9, atol=1e-9)


def test_the_median_trains_and_certifies_nothing():
    net, x = network(), images()
    y, threat = net(x).argmax(1), inradius.make("linf(eps=0.02)", ThreatModel)
    certifier = inradius.make("projected(projections=51, estimator='median')", Certifier)
    estimate = certifier.bound(net, x, y, threat)
    dual = inradius.make("dual()", Certifier).bound(net, x, y, threat)
    torch.testing.assert_close(estimate, dual, rtol=0, atol=0.1)
    estimate.sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in net.parameters())
    with pytest.raises(UnsupportedError, match="certifies nothing"):
        certifier(net, x, y, threat)


@pytest.mark.parametrize("spec", ["l1(eps=0.5)", "wasserstein(eps=0.1)"])
def test_a_set_without_a_norm_is_refused(spec):
    net, x = network(), images(1)
    with pytest.raises(UnsupportedError, match="projected cannot estimate"):
        inradius.make("projected()", Certifier)(net, x, torch.tensor([0]), inradius.make(spec, ThreatModel))


@pytest.mark.parametrize(
    "spec",
    ["projected(failure=0)", "projected(failure=1.0)", "projected(projections=0)", "projected(estimator='mean')"],
)
def test_bad_parameters(spec):
    with pytest.raises(SpecError):
        inradius.make(spec, Certifier)


@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "l2(eps=0.3)"])
def test_carried_estimates_approach_the_bounds_of_the_dual(spec):
    """Around every source at once: the bounds of each layer are those whose norms are known, up to the medians' error."""
    net, x, threat = network(), images(3), inradius.make(spec, ThreatModel)
    y = net(x).argmax(1)
    exact, estimate, interval = (
        inradius.make(certifier, Certifier).bound(net, x, y, threat).detach()
        for certifier in ("dual()", "projected(projections=8001, estimator='median')", "interval()")
    )
    torch.testing.assert_close(estimate, exact, rtol=0.1, atol=0.05 * float(exact.abs().max()))
    assert bool((estimate > interval).all())


def test_vectors_are_each_examples_own():
    like = torch.zeros(4, 3, dtype=F64)
    index = torch.tensor([5, 2, 9, 2])
    found = vectors(1.0, Streams(0, index), 7, like)
    assert found.shape == (4, 7, 3)
    assert torch.equal(found[1], found[3])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(vectors(1.0, Streams(0, index[2:]), 7, like[2:]), found[2:])
    many = vectors(1.0, Streams(0, torch.arange(2000)), 20, torch.zeros(2000, 1, dtype=F64))
    assert float(many.abs().median()) == pytest.approx(1.0, abs=0.03)
