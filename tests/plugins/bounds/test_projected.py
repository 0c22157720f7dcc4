"""Random projections: norms from products, bounds that hold as often as stated, and estimates for training alone."""

import math

import projection_laws as laws
import pytest
import torch
from projection_laws import F64, images, network

import inradius
from inradius import Attack, Certifier, ExampleRNG, SpecError, ThreatModel, UnsupportedError
from inradius_bounds.certifiers import projected
from inradius_bounds.projections.norm_estimates import draws, norms, slack
from inradius_bounds.projections.random_projection_bounds import vectors


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_estimates_approach_the_norms(order):
    matrix = torch.randn(5, 7, dtype=F64, generator=torch.Generator().manual_seed(1))
    exact = matrix.norm(p=order, dim=1)
    rng = ExampleRNG(0, torch.arange(1))
    products = draws(order, rng, 20000, torch.zeros(1, 7, dtype=F64)) @ matrix.T
    torch.testing.assert_close(norms(products, order, "median", 0.5)[0], exact, rtol=0.05, atol=0)
    bound = norms(products, order, "geometric", 1e-3)[0]
    assert bool((bound >= exact).all())
    assert bool((bound <= 1.15 * exact).all())


def test_more_projections_leave_less_slack():
    found = [slack(count, 1e-6) for count in (10, 50, 200, 1000)]
    assert found == sorted(found, reverse=True)
    # the thesis's example, 3.4.6, is on the safe side
    assert 0.15 < slack(200, 0.26) <= -math.log(1 - 0.22)


@pytest.mark.parametrize("order", [1.0, 2.0])
@pytest.mark.parametrize("failure", [0.3, 0.05])
def test_a_bound_fails_no_more_often_than_it_says(order, failure):
    laws.a_bound_fails_no_more_often_than_it_says(order, failure)


COUNTS = [1, 3, 10, 50, 200, 1000]
FAILURES = [0.5, 0.1, 1e-3, 1e-6, 1e-12]


def test_the_tail_is_that_of_cauchy_numbers():
    laws.the_tail_is_that_of_cauchy_numbers()


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("count", COUNTS)
def test_the_slack_is_chernoffs(count, failure):
    laws.the_slack_is_chernoffs(count, failure)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("count", COUNTS)
def test_normal_numbers_have_the_quantile_of_chi_square(count, failure):
    laws.normal_numbers_have_the_quantile_of_chi_square(count, failure)


@pytest.mark.parametrize(
    ("failure", "spec"), [(0.01, "linf(eps=0.02)"), (0.3, "l2(eps=0.1)"), (1e-6, "linf(eps=0.02)")]
)
def test_the_shares_of_all_estimates_make_the_failure(failure, spec, monkeypatch):
    laws.the_shares_of_all_estimates_make_the_failure(failure, spec, monkeypatch)


def test_a_union_spends_the_failure_of_each_member():
    net, x = network(), images(2)
    y, threat = net(x).argmax(1), inradius.make("union(linf(eps=0.01), l2(eps=0.05))", ThreatModel)
    found = inradius.make("projected(failure=0.01)", Certifier)(net, x, y, threat)
    assert found.failure_probability == pytest.approx(0.02)


def test_each_estimate_has_vectors_of_its_own(monkeypatch):
    """A vector that served two estimates would still be covered by the sum of chances; one that is constant would not."""
    seen = []

    def kept(order, rng, count, like):
        seen.append(draws(order, rng, count, like))
        return seen[-1]

    monkeypatch.setattr(projected, "draws", kept)
    net, x = network(), images(2)
    inradius.make("projected(projections=20)", Certifier).bound(
        net, x, net(x).argmax(1), inradius.make("linf(eps=0.02)", ThreatModel)
    )
    flat = [each.flatten(2) for each in seen]
    for each in flat:
        assert not bool((each[0] == each[1]).any())
        assert len(each[0].flatten().unique()) == each[0].numel()
    heads = torch.stack([each[0, :, 0] for each in flat])
    assert len(heads.flatten().unique()) == heads.numel()


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
    found = vectors(1.0, ExampleRNG(0, index), 7, like)
    assert found.shape == (4, 7, 3)
    assert torch.equal(found[1], found[3])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(vectors(1.0, ExampleRNG(0, index[2:]), 7, like[2:]), found[2:])
    many = vectors(1.0, ExampleRNG(0, torch.arange(2000)), 20, torch.zeros(2000, 1, dtype=F64))
    assert float(many.abs().median()) == pytest.approx(1.0, abs=0.03)
