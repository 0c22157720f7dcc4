"""Gradients of bounds in the weights of networks with smooth activations."""

import itertools

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel


@pytest.mark.parametrize("kind", [nn.Sigmoid, nn.Tanh, nn.SiLU, nn.GELU, nn.Softplus, nn.Softsign])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
def test_gradients_are_finite_where_activations_are_saturated_or_at_their_steepest(kind, scale):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), kind(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        model[0].weight *= scale
        model[0].bias *= scale
    x, y = torch.rand(3, 4, dtype=torch.float64), torch.tensor([0, 1, 2])
    for spec, eps in itertools.product(("dual()", "crown()"), (0.0, 0.1)):
        threat = inradius.make(f"linf(eps={eps})", ThreatModel)
        model.zero_grad()
        inradius.make(spec, Certifier).bound(model, x, y, threat).sum().backward()
        assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("kind", [nn.Sigmoid, nn.Tanh, nn.GELU, nn.Softsign])
def test_gradients_through_turning_points_are_finite_differences(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), kind(), nn.Linear(6, 3)).double()
    x, y = torch.rand(3, 4, dtype=torch.float64), torch.tensor([0, 1, 2])
    threat, dual = inradius.make("linf(eps=0.3)", ThreatModel), inradius.make("dual()", Certifier)
    dual.bound(model, x, y, threat).sum().backward()
    for weight in (model[0].weight, model[2].weight):
        found = float(weight.grad[1, 2])
        with torch.no_grad():
            ends = []
            for step in (1e-6, -1e-6):
                weight[1, 2] += step
                ends.append(float(dual.bound(model, x, y, threat).sum()))
                weight[1, 2] -= step
        assert abs(found - (ends[0] - ends[1]) / 2e-6) <= 1e-5 * (1 + abs(found))
