"""Detection: every adversarial input is flagged, and sets that would not allow it are refused."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, ThreatModel, UnsupportedError
from inradius.detection import suspicious

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


def test_a_set_that_is_not_symmetric_is_refused():
    x, threat = torch.rand(1, 1, 2, 3, dtype=F64), inradius.make("box(lo=-0.1, hi=0.3)", ThreatModel)
    with pytest.raises(UnsupportedError, match="not symmetric"):
        suspicious(network(0), x, threat, inradius.make("dual()", Certifier))
