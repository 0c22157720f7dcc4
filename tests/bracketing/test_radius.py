"""Radii: what is certified and what is attacked, example by example, against closed forms."""

import copy

import pytest
import torch
from certifier_toys import Word
from torch import nn

import inradius
from inradius import Attack, Certifier, InputError, ThreatModel
from inradius.bracketing.radii import radii

F64 = torch.float64


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double()


@pytest.mark.parametrize(("spec", "dual"), [("linf(eps=0.1, bounds=None)", 1), ("l2(eps=0.2, bounds=None)", 2)])
def test_radii_of_a_linear_model_are_its_distances(spec, dual):
    """The distance to the nearest boundary: margin over the dual norm of the difference of the rows."""
    net, x = linear(), torch.rand(8, 6, dtype=F64)
    with torch.no_grad():
        logits = net(x)
        y = logits.argmax(1)
        weight = net[1].weight
        lengths = torch.linalg.vector_norm(weight[y][:, None] - weight[None], ord=dual, dim=2)
        distance = ((logits.gather(1, y[:, None]) - logits) / lengths).masked_fill(lengths == 0, torch.inf).amin(1)
    threat = inradius.make(spec, ThreatModel)
    attack = inradius.make("fgsm(objective=margin())", Attack)
    found = radii(net, x, y, threat, inradius.make("interval()", Certifier), attack, tolerance=1e-4)
    torch.testing.assert_close(found.certified * threat.eps, distance, rtol=2e-4, atol=0)
    assert bool((found.attacked >= found.certified).all())
    assert bool((found.attacked * threat.eps >= distance * (1 - 1e-9)).all())


def test_an_example_that_is_wrong_has_no_radius_and_batch_mates_change_nothing():
    net, x = linear(1), torch.rand(5, 6, dtype=F64)
    y = net(x).argmax(1)
    y[2] = (y[2] + 1) % 3
    threat = inradius.make("linf(eps=0.05)", ThreatModel)
    tools = inradius.make("dual()", Certifier), inradius.make("pgd(steps=5)", Attack)
    found = radii(net, x, y, threat, *tools)
    assert float(found.certified[2]) == 0 == float(found.attacked[2])
    alone = [radii(net, x[i : i + 1], y[i : i + 1], threat, *tools, index=torch.tensor([i])) for i in range(5)]
    torch.testing.assert_close(torch.cat([each.certified for each in alone]), found.certified)
    torch.testing.assert_close(torch.cat([each.attacked for each in alone]), found.attacked)


def test_a_model_in_train_mode_is_measured_in_eval_mode_and_left_as_it_was():
    torch.manual_seed(4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
    x = torch.rand(64, 6, dtype=F64)
    net.train()(2 * x)
    net[3].eval()
    plain, state = copy.deepcopy(net).eval(), copy.deepcopy(net.state_dict())
    with torch.no_grad():
        y = plain(x).argmax(1)
    threat = inradius.make("linf(eps=0.05, bounds=None)", ThreatModel)
    tools = inradius.make("dual()", Certifier), inradius.make("pgd(steps=5)", Attack)
    found, expected = radii(net, x, y, threat, *tools), radii(plain, x, y, threat, *tools)
    assert torch.equal(found.certified, expected.certified)
    assert torch.equal(found.attacked, expected.attacked)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert [module.training for module in net] == [True, True, True, False, True]


def test_a_word_of_a_solver_is_no_radius_unless_asked_for():
    net, x = linear(), torch.rand(3, 6, dtype=F64)
    threat, y = inradius.make("linf(eps=0.05)", ThreatModel), net(x).argmax(1)
    assert radii(net, x, y, threat, Word()).certified.tolist() == [0.0] * 3
    assert bool((radii(net, x, y, threat, Word(), accept_solver=True).certified >= 2.0**20).all())


def test_without_an_attack_the_attacked_radius_is_unknown():
    net, x = linear(2), torch.rand(2, 6, dtype=F64)
    found = radii(
        net, x, net(x).argmax(1), inradius.make("linf(eps=0.05)", ThreatModel), inradius.make("dual()", Certifier)
    )
    assert bool(found.attacked.isinf().all())
    assert bool((found.certified > 0).all())


def test_a_constant_model_is_certified_as_far_as_the_search_goes():
    net = linear(3)
    with torch.no_grad():
        net[1].weight.zero_()
    x = torch.rand(2, 6, dtype=F64)
    found = radii(
        net, x, net(x).argmax(1), inradius.make("linf(eps=0.05)", ThreatModel), inradius.make("dual()", Certifier)
    )
    assert bool((found.certified >= 2.0**20).all())


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -0.1])
def test_a_tolerance_is_between_0_and_1(tolerance):
    net, x = linear(), torch.rand(1, 6, dtype=F64)
    with pytest.raises(InputError, match="tolerance"):
        radii(
            net,
            x,
            torch.tensor([0]),
            inradius.make("linf(eps=0.1)", ThreatModel),
            inradius.make("dual()", Certifier),
            tolerance=tolerance,
        )
