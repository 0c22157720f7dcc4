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
