"""The cascade of certifiers: what each member sees, and what comes of it."""

from itertools import pairwise

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Bounds, Certifier, Property, SpecError, Streams, ThreatModel
from inradius_bounds.cascade import STANDARD, CertifierCascade
from inradius_bounds.refutation import refuted

F64 = torch.float64
SEEN: list[list[float]] = []


@attrs.frozen(kw_only=True)
class Spy(Certifier):
    """Writes down the first pixels it is given, and proves nothing."""

    def lower_bound(self, model, x, threat, prop, rng):
        SEEN.append(x[:, 0].tolist())
        return Bounds(torch.full_like(prop.offsets, -1.0), error=torch.zeros_like(prop.offsets))


def network(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 9), nn.ReLU(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.mul_(2)
        # the classes are met alike
        middle = torch.rand(200, 6, dtype=F64)
        net[4].bias.sub_(net(middle).mean(0))
    return net


def batch(count=12, seed=0):
    x = torch.rand(count, 6, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return x, network()(x).argmax(1)


def threat(eps):
    return inradius.make(f"linf(eps={eps})", ThreatModel)


@pytest.mark.parametrize("eps", [0.02, 0.08, 0.15])
def test_a_cascade_certifies_what_its_members_certify(eps):
    net, (x, y) = network(), batch()
    whole = inradius.make("certifier_cascade(steps=0)", Certifier)(net, x, y, threat(eps))
    members = [member(net, x, y, threat(eps)) for member in STANDARD]
    assert torch.equal(whole.certified, torch.stack([member.certified for member in members]).any(0))
    assert bool((whole.lower <= torch.stack([member.lower for member in members]).amax(0) + 1e-12).all())


@pytest.mark.parametrize("eps", [0.05, 0.15])
def test_a_cascade_proves_nothing_that_is_false_and_gives_up_what_is_broken(eps):
    net, (x, y) = network(), batch()
    cascade = inradius.make("certifier_cascade()", Certifier)
    found = cascade(net, x, y, threat(eps))
    attacked = inradius.make("pgd(steps=40, restarts=3)", Attack)(net, x, y, threat(eps))
    assert not bool((found.certified & attacked.success).any())
    alone = torch.cat([cascade(net, x[i : i + 1], y[i : i + 1], threat(eps)).lower for i in range(len(x))])
    torch.testing.assert_close(alone, found.lower, rtol=1e-9, atol=1e-9)
    broken = refuted(net, x, threat(eps), Property.margins(y, 3, dtype=F64), 10)
    certain = inradius.make("alpha(layers='all')", Certifier)(net, x, y, threat(eps)).certified
    assert not bool((certain & broken).any())


def test_later_members_see_what_is_left():
    net, (x, y) = network(), batch()
    SEEN.clear()
    found = CertifierCascade(members=(inradius.make("dual()", Certifier), Spy()), steps=0)(net, x, y, threat(0.02))
    assert 0 < int(found.certified.sum()) < len(x)
    assert [x[~found.certified, 0].tolist()] == SEEN


def test_what_is_refuted_is_left_to_no_member():
    net, (x, y) = network(), batch()
    SEEN.clear()
    CertifierCascade(members=(inradius.make("interval()", Certifier), Spy()), steps=20)(net, x, y, threat(0.5))
    broken = refuted(net, x, threat(0.5), Property.margins(y, 3, dtype=F64), 20)
    assert bool(broken.any())
    assert ([x[~broken, 0].tolist()] if not bool(broken.all()) else []) == SEEN


def test_no_member_begins_after_the_time_is_over():
    net, (x, y) = network(), batch()
    SEEN.clear()
    CertifierCascade(members=(inradius.make("interval()", Certifier), Spy()), seconds=1e-9)(net, x, y, threat(0.3))
    assert SEEN == []


def test_a_union_and_other_sets_pass_through():
    net, (x, y) = network(), batch()
    for spec in ("union(linf(eps=0.05), l1(eps=0.3))", "patch(size=1, eps=0.1)", "l2(eps=0.1)"):
        the_set = inradius.make(spec, ThreatModel)
        images = x.view(-1, 1, 2, 3)
        found = inradius.make("certifier_cascade()", Certifier)(nn.Sequential(nn.Flatten(), *net), images, y, the_set)
        for seed in range(5):
            delta = the_set.sample(images, rng=Streams(seed, torch.arange(len(x))))
            assert bool((net((images + delta).flatten(1)).argmax(1) == y)[found.certified].all())


def test_members_must_be_certifiers():
    with pytest.raises(SpecError, match="certifier"):
        inradius.make("certifier_cascade(pgd())", Certifier)


def test_examples_without_promise_are_left_out_of_the_dearest_member_alone():
    net, (x, y) = network(), batch(40)
    threat = inradius.make("linf(eps=0.12)", ThreatModel)
    bounds = [CertifierCascade(steps=0, promise=promise)(net, x, y, threat).lower for promise in (1e-9, 2.5, None)]
    short = CertifierCascade(members=STANDARD[:-1], steps=0)(net, x, y, threat).lower
    # what is left out keeps the bounds of the other members, and no example that these prove is lost
    torch.testing.assert_close(bounds[0], short)
    for lower, higher in pairwise(bounds):
        assert (lower <= higher + 1e-12).all()
    assert (bounds[0] < bounds[2]).any()
    worst, gained = (
        short.amin(1),
        short.amin(1) - CertifierCascade(members=STANDARD[:-2], steps=0)(net, x, y, threat).lower.amin(1),
    )
    promising = (worst > 0) | (-worst <= 2.5 * gained)
    torch.testing.assert_close(bounds[1], torch.where(promising[:, None], bounds[2], short))
