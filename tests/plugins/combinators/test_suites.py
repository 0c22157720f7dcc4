"""The standard suites: which attacks they are, on which sets, and what they reach."""

import pytest
import torch
from gradient_cases import labelled, linear, perceptron, threat_of, worst_margins
from torch import nn

import inradius
from inradius import BPDA, Attack, InputError, SpecError, UnsupportedError
from inradius.testing import check_attack
from inradius.testing.strategies import inputs

SHORT = {
    "autoattack": "autoattack(steps=4, classes=2, queries=20)",
    "inradius_suite": "inradius_suite(steps=4, classes=2, probe=8, queries=20)",
}
SETS = [
    "linf(eps=0.1)",
    "l2(eps=0.5, bounds=None)",
    "l1(eps=1.0)",
    "union(linf(eps=0.1), l1(eps=0.5))",
    "l0(k=1)",
    "box(lo=-0.1, hi=0.3)",
    "patch(size=2, eps=0.4)",
]


def attack_of(spec):
    return inradius.make(spec, Attack)


def names(suite, threat):
    return [str(member) for member in attack_of(suite).cascade(threat_of(threat))]


@pytest.mark.parametrize("threat", SETS)
def test_laws_of_the_suite(threat):
    check_attack(SHORT["inradius_suite"], threat, shape=(1, 2, 2), examples=1)


@pytest.mark.parametrize("threat", SETS[:3])
@pytest.mark.parametrize("version", ["standard", "plus", "rand"])
def test_laws_of_autoattack(version, threat):
    spec = f"autoattack('{version}', steps=1, classes=1, queries=6)"
    check_attack(spec, threat, shape=(1, 2, 2), examples=1)


def test_laws_of_the_suite_where_mass_moves():
    images = inputs((1, 2, 2), (0.0, 1.0), batch=2)
    spec = "inradius_suite(steps=1, classes=1, probe=3, queries=4)"
    check_attack(spec, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=images, examples=1)


def test_autoattack_is_the_list_of_its_authors():
    ours = {spec: attack_of(spec) for spec in ("apgd()", "apgd_t()", "fab_t(enough=1.0)", "square()")}
    assert ours["apgd()"].steps == ours["apgd_t()"].steps == ours["fab_t(enough=1.0)"].steps == 100
    assert ours["apgd_t()"].classes == ours["fab_t(enough=1.0)"].classes == 9
    assert ours["square()"].queries == 5000
    for threat in ("linf(eps=0.1)", "l2(eps=1.0)"):
        members = attack_of("autoattack()").cascade(threat_of(threat))
        assert members == tuple(ours.values())
    l1 = "apgd(restarts=5)", "apgd_t(classes=5)", "fab_t(enough=1.0)", "square()"
    assert names("autoattack()", "l1(eps=5.0)") == [str(attack_of(spec)) for spec in l1]
    plus = names("autoattack('plus')", "linf(eps=0.1)")
    assert plus[:3] == ["apgd(restarts=5)", "apgd(restarts=5, objective=dlr())", "fab(restarts=5, enough=1.0)"]
    assert plus[3:] == ["square()", "apgd_t()", "fab_t(enough=1.0)"]
    rand = names("autoattack(version='rand')", "linf(eps=0.1)")
    assert rand == ["eot(attack=apgd())", "eot(attack=apgd(objective=dlr()))"]
    assert attack_of("eot(apgd())").samples == 20


def test_radii_of_their_own_get_the_list_of_their_set():
    threat = threat_of("l1(eps=1.0)")
    each = threat.per_example(torch.ones(4))
    for suite in ("autoattack()", "inradius_suite()"):
        assert attack_of(suite).cascade(each) == attack_of(suite).cascade(threat)


@pytest.mark.parametrize("threat", SETS[3:6])
def test_autoattack_on_another_set_is_refused(threat):
    x, y = labelled(linear(2))
    with pytest.raises(UnsupportedError, match="allowed are balls of ℓ∞, ℓ2, ℓ1: inradius_suite"):
        attack_of("autoattack()")(linear(2), x, y, threat_of(threat))
    part = attack_of("worst_part(autoattack(steps=2, queries=4))")
    assert len(part(linear(2), x, y, threat_of("union(linf(eps=0.1), l2(eps=0.5))")).delta) == len(x)


@pytest.mark.parametrize("suite", SHORT.values())
@pytest.mark.parametrize("classes", [2, 3, 1000])
@pytest.mark.parametrize("shape", [(8,), (1, 4, 4), (5, 2)])
def test_any_number_of_classes_and_any_shape(suite, classes, shape):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes)).double()
    x = torch.rand(4, *shape, dtype=torch.float64)
    found = attack_of(suite)(model, x, model(x).argmax(1), threat_of("linf(eps=0.1)"))
    assert found.delta.shape == x.shape


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.1), l2(eps=0.5))"])
@pytest.mark.parametrize("suite", ["autoattack(steps=20, queries=50)", "inradius_suite(steps=20, classes=9)"])
def test_linear_models_are_fooled_exactly_where_they_can_be(suite, threat):
    if "autoattack" in suite and "union" in threat:
        suite = f"worst_part({suite})"
    model, threat = linear(4), threat_of(threat)
    x, y = labelled(model, 24)
    possible = torch.stack([worst_margins(model, x, y, part).amin(1) <= 0 for part in threat.members()]).any(0)
    found = attack_of(suite)(model, x, y, threat)
    assert torch.equal(found.success, possible)
    assert 0 < int(possible.sum()) < 24


def test_the_suite_breaks_no_less_than_autoattack_for_fewer_queries():
    model, threat = perceptron(), threat_of("linf(eps=0.4)")
    x, y = labelled(model, 16)
    full = attack_of("autoattack(queries=2000)")(model, x, y, threat)
    ours = attack_of("inradius_suite()")(model, x, y, threat)
    assert int(ours.success.sum()) >= int(full.success.sum())
    assert 0 < int(full.success.sum()) < 16
    assert int(ours.queries.sum()) <= int(full.queries.sum()) * 0.55


def flat(x):
    """A quantiser: its gradient is zero wherever it exists."""
    return (x * 4).round() / 4


def test_where_gradients_vanish_a_random_search_goes_on():
    network, threat = perceptron(), threat_of("linf(eps=0.5)")
    x, y = labelled(lambda x: network(flat(x)), 24)

    def model(x):
        return network(flat(x) + 0 * x)

    blind = attack_of("pgd(random_start=False)")(model, x, y, threat)
    found = attack_of("inradius_suite(steps=20, queries=300)")(model, x, y, threat)
    assert not blind.success.any()
    assert found.success.any()
    seen = attack_of("inradius_suite(steps=20, queries=300)")(nn.Sequential(BPDA(flat), network), x, y, threat)
    assert int(seen.success.sum()) >= int(found.success.sum())


def test_where_flat_leaves_the_others_alone():
    model, threat = perceptron(), threat_of("linf(eps=0.5)")
    x, y = labelled(model)
    rows = torch.arange(16)[:, None] < 8

    def half(x):
        return torch.where(rows[: len(x)], model(flat(x) + 0 * x), model(x)) if len(x) == 16 else model(x)

    found = attack_of("if_zero_gradient(square(queries=50))")(half, x, y, threat)
    assert bool((found.delta[:8] != 0).flatten(1).any())
    assert not found.delta[8:].any()
    # one pass for the gradient, one for the judge
    assert found.queries[8:].tolist() == [2] * 8


@pytest.mark.parametrize("suite", SHORT.values())
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda x: x[:, :3].detach(), UnsupportedError, "no gradient"),
        (lambda x: x[:, :3] / 0, InputError, "NaN or infinite"),
    ],
)
def test_models_that_cannot_be_attacked_are_told(suite, model, error, message):
    x, y = labelled(linear(3))
    with pytest.raises(error, match=message):
        attack_of(suite)(model, x, torch.zeros_like(y), threat_of("linf(eps=0.1)"))


@pytest.mark.parametrize(
    "spec",
    ["autoattack('fast')", "autoattack(steps=0)", "inradius_suite(classes=0)", "if_zero_gradient(linf(eps=0.1))"],
)
def test_bad_parameters_are_refused(spec):
    with pytest.raises(SpecError):
        attack_of(spec)


@pytest.mark.parametrize("threat", SETS[:3])
def test_the_suite_of_a_ball_projects_on_boundaries_too(threat):
    members = attack_of("inradius_suite(classes=2)").cascade(threat_of(threat))
    fab = [member for member in members if member.spec_name() == "fab_t"]
    assert fab == [attack_of("fab_t(steps=51, classes=2, enough=1.0, polish=0)")]


def test_a_threshold_before_the_network_hides_from_ascent_what_the_suite_finds():
    torch.manual_seed(0)

    class Threshold(nn.Module):
        def forward(self, x):
            return (5 * x - 2).clamp(0, 1)

    model = nn.Sequential(Threshold(), perceptron()).eval()
    x = torch.rand(32, 8, dtype=torch.float64)
    x = torch.where(x < 0.5, 0.7 * x, 0.3 + 0.7 * x)
    y, threat = model(x).argmax(1), threat_of("l2(eps=0.6)")
    ascent, suite = (attack_of(spec)(model, x, y, threat) for spec in ("apgd(random_start=False)", "inradius_suite()"))
    assert int(suite.success.sum()) > int(ascent.success.sum())
