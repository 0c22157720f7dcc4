"""A stand-in for the backward pass: forward the module, backward the surrogate."""

import pytest
import torch
from torch import nn

import inradius
from inradius import BPDA, Attack, InputError, ThreatModel


def quantiser(x):
    return (x * 4).round() / 4


def defended(wrap):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 32, bias=False), nn.ReLU(), nn.Linear(32, 3, bias=False)).double()
    x = torch.randn(32, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = nn.Sequential(wrap, network)
    return model, x, model(x).argmax(1).detach()


class Quantiser(nn.Module):
    def forward(self, x):
        return quantiser(x)


@pytest.mark.parametrize("surrogate", [None, lambda x: x, torch.sigmoid])
def test_forward_is_the_module_bit_for_bit_and_backward_the_surrogate(surrogate):
    x = torch.rand(5, 8, dtype=torch.float64, requires_grad=True)
    module = BPDA(quantiser, surrogate)
    value = module(x)
    assert torch.equal(value, quantiser(x))
    weight = torch.rand(5, 8, dtype=torch.float64)
    (found,) = torch.autograd.grad((value * weight).sum(), x)
    (expected,) = torch.autograd.grad(((surrogate or torch.clone)(x) * weight).sum(), x)
    torch.testing.assert_close(found, expected)


def test_a_quantiser_that_stops_gradient_attacks_does_not_stop_them_with_a_surrogate():
    threat = inradius.make("linf(eps=0.5, bounds=None)", ThreatModel)
    attack = inradius.make("pgd(steps=20, random_start=False)", Attack)
    hidden, x, y = defended(Quantiser())
    seen, _, _ = defended(BPDA(Quantiser()))
    assert torch.equal(seen(x), hidden(x))
    assert not attack(hidden, x, y, threat).success.any()
    found = attack(seen, x, y, threat)
    assert int(found.success.sum()) > 8
    # the answers are judged by the true forward pass
    assert torch.equal(hidden(x + found.delta).argmax(1) != y, found.success)


def test_modules_inside_are_part_of_the_network():
    inner, near = nn.Linear(4, 4), nn.Linear(4, 4)
    module = BPDA(inner, near)
    assert len(list(module.parameters())) == 4
    assert not module.eval().module.training
    assert "module.weight" in module.state_dict()


def test_without_a_gradient_the_surrogate_is_not_asked():
    def refuse(x):
        raise AssertionError

    x = torch.rand(2, 3)
    assert torch.equal(BPDA(quantiser, refuse)(x), quantiser(x))


def test_surrogates_of_another_shape_are_refused():
    with pytest.raises(InputError, match="surrogate gives"):
        BPDA(quantiser, lambda x: x[:, :2])(torch.rand(2, 3, requires_grad=True))
