"""The attack bab_attack: it finds what gradients miss, keeps the laws of attacks, and says what it cannot take."""

import pytest
import torch
from chain_networks import compared, mlp
from torch import nn

import inradius
from inradius import Attack, Certifier, ThreatModel, UnsupportedError
from inradius.testing import check_attack

F64 = torch.float64


def made(spec, threat, *question, **options):
    return inradius.make(spec, Attack)(*question, inradius.make(threat, ThreatModel), **options)


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "union(linf(eps=0.2), l1(eps=1.1))"])
def test_laws(threat):
    check_attack("bab_attack(seconds=None, domains=8, steps=1)", threat, shape=(1, 2, 2), examples=2)


@pytest.mark.slow
@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.2), l1(eps=1.1))"])
def test_laws_on_many(threat):
    check_attack("bab_attack(seconds=None, steps=1)", threat, shape=(1, 2, 3), examples=10)


def planted(seed, spec):
    """A network and an input whose smallest margin over the set is −0.01 of what it was, by HiGHS."""
    net, threat = mlp(seed, (6, 12, 12, 3)), inradius.make(spec, ThreatModel)
    with torch.no_grad():
        for layer in net[1::2]:
            layer.weight.mul_(3)
        x = torch.rand(1, 6, dtype=F64, generator=torch.Generator().manual_seed(seed))
        y = net(x).argmax(1)
        least = float(inradius.make("milp()", Certifier)(net, x, y, threat, claim="real").lower.amin())
        net[-1].bias[y] -= least + 1e-2 * abs(least)
    return net, x, y


@pytest.mark.parametrize(("spec", "seeds"), [("linf(eps=0.3)", range(4)), ("l1(eps=0.8)", range(2))])
def test_planted_perturbations_are_found_that_gradients_miss(spec, seeds):
    cases, threat = [planted(seed, spec) for seed in seeds], inradius.make(spec, ThreatModel)
    found = [made("bab_attack", spec, *case) for case in cases]
    assert all(bool(each.success) for each in found)
    assert all(bool(threat.contains(each.delta, x, tol=0.0)) for each, (_, x, _) in zip(found, cases, strict=True))
    missed = [not bool(made("pgd(steps=5)", spec, *case).success) for case in cases]
    assert sum(missed) > len(cases) / 2


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["linf(eps=0.3)", "l1(eps=0.8)", "l2(eps=0.5)"])
def test_fifty_planted_perturbations_are_found(spec):
    # HiGHS takes polytopes alone; the ball ℓ2 contains that of ℓ1 with its radius
    cases = [planted(seed, "l1(eps=0.5)" if spec.startswith("l2") else spec) for seed in range(100, 150)]
    assert all(bool(made("bab_attack", spec, *case).success) for case in cases)


def batch(count=12, dtype=F64):
    net = compared().to(dtype)
    x = torch.rand(count, 6, dtype=F64, generator=torch.Generator().manual_seed(0)).to(dtype)
    return net, x, net(x).argmax(1)


@pytest.mark.parametrize("threat", ["linf(eps=0.06)", "union(linf(eps=0.03), l1(eps=0.1))"])
def test_an_example_is_broken_or_proved(threat):
    net, x, y = batch()
    found = made("bab_attack(steps=2)", threat, net, x, y)
    proof = inradius.make("branch_and_bound", Certifier)(net, x, y, inradius.make(threat, ThreatModel))
    assert bool((found.success ^ proof.certified).all())
    assert 0 < int(found.success.sum()) < len(x)
    # what is not broken keeps an iterate of the ascent, which is a member, too
    assert bool(found.inside.all())
    assert bool((found.margin <= made("bab_attack(steps=2, domains=1)", threat, net, x, y).margin + 1e-12).all())


def test_it_aims_at_a_class():
    net, x, y = batch(6)
    aimed = (y + 1) % 3
    found = made("bab_attack(steps=1)", "linf(eps=0.2)", net, x, y, goal=aimed)
    assert bool((net(x + found.delta).argmax(1) == aimed)[found.success].all())
    other = made("pgd(steps=20, restarts=10)", "linf(eps=0.2)", net, x, y, goal=aimed)
    assert bool((found.success | ~other.success).all())
    assert int(found.success.sum()) > 0


def test_queries_do_not_depend_on_batch_mates():
    net, x, y = batch(4, torch.float32)
    whole = made("bab_attack(steps=1)", "linf(eps=0.06)", net, x, y)
    for place in range(4):
        index, own = torch.tensor([place]), slice(place, place + 1)
        alone = made("bab_attack(steps=1)", "linf(eps=0.06)", net, x[own], y[own], index=index)
        assert torch.equal(alone.delta, whole.delta[own])
        assert int(alone.queries) == int(whole.queries[place])


def test_observers_see_the_ascent_and_then_each_perturbation_that_the_search_finds():
    net, x, y = batch(4)
    seen = []
    found = made(
        "bab_attack(steps=1)",
        "linf(eps=0.1)",
        net,
        x,
        y,
        observe=lambda step, delta: seen.append((step, delta.clone())),
    )
    assert [step for step, _ in seen] == list(range(len(seen)))
    assert all(delta.shape == x.shape for _, delta in seen)
    assert any(
        torch.equal(delta[place], found.delta[place]) for place in range(4) for _, delta in seen if found.success[place]
    )


def test_a_function_is_searched_as_a_module_is():
    net, x, y = batch(4)
    module, function = (
        made("bab_attack(steps=1)", "linf(eps=0.06)", each, x, y) for each in (net, lambda images: net(images))
    )
    assert torch.equal(module.delta, function.delta)


def test_a_limit_of_domains_ends_a_search_at_the_same_place():
    net, x, y = planted(1, "linf(eps=0.3)")
    threat = inradius.make("linf(eps=0.3)", ThreatModel)
    with torch.no_grad():
        net[-1].bias[y] += 0.5
    whole, *short = (
        inradius.make(f"branch_and_bound(seconds=None{limit})", Certifier)(net, x, y, threat)
        for limit in ("", ", domains=3", ", domains=3")
    )
    assert (bool(whole.certified), [bool(each.certified) for each in short]) == (True, [False, False])
    assert torch.equal(short[0].lower, short[1].lower)


def test_a_model_that_cannot_be_recorded_is_refused_in_a_sentence():
    net = nn.Sequential(nn.Linear(6, 8), nn.Hardshrink(), nn.Linear(8, 3)).double()
    x = torch.rand(2, 6, dtype=F64)
    with pytest.raises(UnsupportedError, match="hardshrink"):
        made("bab_attack", "linf(eps=0.001)", net, x, net(x).argmax(1))
    # nothing is left to the search where the ascent breaks all
    assert bool(made("bab_attack", "linf(eps=0.001)", net, x, (net(x).argmax(1) + 1) % 3).success.all())


def test_it_gets_the_model_itself_where_others_get_a_faster_copy(tmp_path, monkeypatch):
    """The copy's convolution of a single channel has a gradient of its own, which no rule covers."""
    monkeypatch.setattr("inradius.report.report._figures", lambda report: {})
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double().eval()
    x = torch.rand(4, 1, 4, 4, dtype=F64)
    data, spec = inradius.Dataset.of(x, net(x).argmax(1), name="noise"), "worst(fgsm(), bab_attack(steps=1, domains=4))"
    report = inradius.bracket(net, data, "linf(eps=0.02)", attacks=[spec], certifiers=[], folder=tmp_path)
    assert report.counts["attacked"] < 4
    attack, threat = inradius.make(spec, Attack), inradius.make("linf(eps=0.02)", ThreatModel)
    assert attack.find(net, x, data.labels, threat).shape == x.shape
