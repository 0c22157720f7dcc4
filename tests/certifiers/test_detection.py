"""Detection: every adversarial input is flagged, and sets that would not allow it are refused."""

import copy

import pytest
import torch
from bracket_toys import Exact
from certifier_toys import Word
from torch import nn

import inradius
from inradius import Attack, Bounds, Certifier, ThreatModel, UnsupportedError
from inradius.certifiers.detection import suspicious

F64 = torch.float64


def network(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).double()
    with torch.no_grad():
        net[3].bias.sub_(net(torch.rand(200, 1, 2, 3, dtype=F64)).mean(0))
    return net


@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "l2(eps=0.1)", "l1(eps=0.2)", "union(linf(eps=0.03), l1(eps=0.1))"])
@pytest.mark.parametrize("seed", range(3))
def test_no_adversarial_input_passes(spec, seed):
    net, threat = network(seed), inradius.make(spec, ThreatModel)
    x = torch.rand(40, 1, 2, 3, dtype=F64, generator=torch.Generator().manual_seed(seed))
    clean = net(x).argmax(1)
    found = inradius.make("pgd(steps=20, objective=margin())", Attack)(net, x, clean, threat)
    adversarial = x + found.delta
    fooled = net(adversarial).argmax(1) != clean
    flags = suspicious(net, adversarial, threat, inradius.make("crown()", Certifier))
    assert bool(fooled.any())
    assert bool(flags[fooled].all())
    assert not bool(suspicious(net, x, threat, inradius.make("crown()", Certifier)).all())


def test_a_model_in_train_mode_is_asked_in_eval_mode_and_left_as_it_was():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double().train()
    x = torch.rand(64, 1, 2, 3, dtype=F64)
    net(2 * x)
    plain, state = copy.deepcopy(net).eval(), copy.deepcopy(net.state_dict())
    threat, certifier = inradius.make("linf(eps=0.02)", ThreatModel), inradius.make("crown()", Certifier)
    flags = suspicious(net, x, threat, certifier)
    assert torch.equal(flags, suspicious(plain, x, threat, certifier))
    assert 0 < int(flags.sum()) < 64
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net)


def test_what_a_solver_alone_holds_to_be_robust_is_suspicious_unless_asked_otherwise():
    x, threat = torch.rand(3, 1, 2, 3, dtype=F64), inradius.make("linf(eps=0.02)", ThreatModel)
    assert suspicious(network(0), x, threat, Word()).tolist() == [True] * 3
    assert suspicious(network(0), x, threat, Word(), accept_solver=True).tolist() == [False] * 3


def test_the_prediction_is_that_of_the_function_that_is_certified():
    """A certifier of another function than the model certifies the class that this function gives."""

    class Flipped(Exact):
        def subject(self, model):
            return lambda x: -model(x)

        def lower_bound(self, model, x, threat, prop, rng):
            value = prop.values(-model(x)) - threat.support(prop.weights @ model.weight, x)
            return Bounds(value, claim="float")

    model, x = nn.Linear(4, 3).double(), torch.randn(40, 4, dtype=F64)
    threat = inradius.make("linf(eps=1e-3, bounds=None)", ThreatModel)
    flags = suspicious(model, x, threat, Flipped())
    smallest = model(x).sort().values
    assert torch.equal(flags, suspicious(nn.Sequential(model, Minus()), x, threat, inradius.make("crown()", Certifier)))
    assert bool((~flags)[smallest[:, 1] - smallest[:, 0] > 0.1].any())


class Minus(nn.Module):
    def forward(self, x):
        return -x


def test_a_set_that_is_not_symmetric_is_refused():
    x, threat = torch.rand(1, 1, 2, 3, dtype=F64), inradius.make("box(lo=-0.1, hi=0.3)", ThreatModel)
    with pytest.raises(UnsupportedError, match="not symmetric"):
        suspicious(network(0), x, threat, inradius.make("dual()", Certifier))
