"""Networks that are chains of layers."""

import itertools

import torch
from torch import nn


def mlp(seed, sizes=(6, 8, 7, 3)):
    """Linear layers of these sizes with ReLUs between them, in float64."""
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for wide, narrow in itertools.pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def compared(seed=0):
    """A network of three layers for six inputs in float64, whose three classes are compared alike."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 9), nn.ReLU(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.mul_(2)
        net[4].bias.sub_(net(torch.rand(200, 6, dtype=torch.float64)).mean(0))
    return net
