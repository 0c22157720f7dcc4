"""The rules by which bounds pass the layers of torch, one a file; those of ReLU and other activations are in ``activations``."""

from collections.abc import Mapping
from functools import cache

from torch import nn

from inradius import LayerRule, Normalize
from inradius_bounds.rules.activations import activation_rules
from inradius_bounds.rules.average_pool import AveragePoolRule
from inradius_bounds.rules.batch_norm import BatchNormRule
from inradius_bounds.rules.convolution import ConvolutionRule
from inradius_bounds.rules.identity import IdentityRule
from inradius_bounds.rules.linear import LinearRule
from inradius_bounds.rules.normalize import NormalizeRule
from inradius_bounds.rules.reshape import FlattenRule


def by_layer() -> dict[type[nn.Module], LayerRule]:
    """Each layer class with its rule."""
    return dict(_rules())


@cache
def _rules() -> Mapping[type[nn.Module], LayerRule]:
    identity = IdentityRule()
    norm = BatchNormRule()
    return {
        nn.AvgPool2d: AveragePoolRule(),
        nn.BatchNorm1d: norm,
        nn.BatchNorm2d: norm,
        nn.Conv2d: ConvolutionRule(),
        nn.Dropout: identity,
        nn.Dropout2d: identity,
        nn.Flatten: FlattenRule(),
        nn.Identity: identity,
        nn.Linear: LinearRule(),
        Normalize: NormalizeRule(),
        **activation_rules(),
    }
