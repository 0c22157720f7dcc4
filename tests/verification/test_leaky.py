"""Leaky gradients: the values of a network stay, and a ReLU that is off passes a share of the gradient."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inradius.verification.leaky import LeakyGradients

RELUS = {
    "module": nn.ReLU(),
    "in place": lambda z: nn.ReLU(inplace=True)(z.clone()),
    "function": F.relu,
    "torch": torch.relu,
    "method": lambda z: z.relu(),
    "clamp": lambda z: z.clamp(min=0),
    "clamp_min": lambda z: torch.clamp_min(z, 0.0),
    "positional": lambda z: torch.clamp(z, 0),
}


@pytest.mark.parametrize("name", RELUS)
def test_a_relu_passes_a_share_of_each_example_where_it_is_off(name):
    z = torch.tensor([[-2.0, 3.0], [-1.0, -4.0], [5.0, -6.0]], requires_grad=True)
    leak = torch.tensor([0.0, 0.5, 0.25])
    with LeakyGradients(leak):
        value = RELUS[name](z)
    torch.testing.assert_close(value, z.detach().clamp(min=0))
    (gradient,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(gradient, torch.where(z > 0, 1.0, leak[:, None]))


def test_other_functions_are_left_alone():
    z = torch.tensor([[-2.0, 3.0]], requires_grad=True)
    others = [lambda v: v.clamp(min=-1), lambda v: v.clamp(0, 2), torch.sigmoid, lambda v: v[0].relu()[None]]
    for function in others:
        with LeakyGradients(torch.tensor([0.5])):
            leaky = torch.autograd.grad(function(z).sum(), z)[0]
        if function is not others[-1]:
            torch.testing.assert_close(leaky, torch.autograd.grad(function(z).sum(), z)[0])
    with LeakyGradients(torch.tensor([0.5, 0.5])):
        assert torch.autograd.grad(torch.relu(z).sum(), z)[0].tolist() == [[0.0, 1.0]]
