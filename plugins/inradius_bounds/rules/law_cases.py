"""The layers on which the rules are checked by ``inradius plugins --check bounds``."""

from typing import Any

import torch
from torch import nn

from inradius import Normalize
from inradius_bounds.rules.activations import real_powers, smooth, waves
from inradius_bounds.rules.functions import (
    CappedExpLayer,
    ExpLayer,
    ReciprocalLayer,
    RoundingLayer,
    SquareLayer,
    SquareRootLayer,
)


def layer_cases() -> dict[nn.Module, dict[str, Any]]:
    """A layer of each class that has a rule, with the shape of its inputs; the same weights in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        anywhere = [(layer, (3,)) for layer in _curves()] + _affine()
    cases: dict[nn.Module, dict[str, Any]] = {layer: {"in_shape": shape} for layer, shape in anywhere}
    return cases | {layer: {"in_shape": (3,), "within": ends} for layer, ends in _curves_between_ends()}


def _affine() -> list[tuple[nn.Module, tuple[int, ...]]]:
    return [
        (nn.Linear(3, 4), (3,)),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 4, 5)),
        (nn.AvgPool2d(2), (2, 4, 4)),
        (_measured(nn.BatchNorm1d(3)), (3,)),
        (_measured(nn.BatchNorm2d(2)), (2, 3, 3)),
        (Normalize(mean=[0.4, 0.5], std=[0.2, 0.3]), (2, 3, 3)),
        (nn.Flatten(), (2, 3)),
        (nn.Identity(), (3,)),
        (nn.Dropout(), (3,)),
        (nn.Dropout2d(), (2, 3, 3)),
    ]


def _measured(norm: Any) -> nn.Module:
    """The layer as training leaves it: with a mean, a variance, a scale and a shift of its own."""
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm  # type: ignore[no-any-return]


def _curves() -> list[nn.Module]:
    return [
        nn.ReLU(),
        nn.LeakyReLU(),
        nn.Hardtanh(),
        nn.ReLU6(),
        nn.ELU(),
        nn.CELU(),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.Softplus(),
        nn.LogSigmoid(),
        nn.GELU(),
        nn.SiLU(),
        nn.Hardswish(),
        nn.Softshrink(),
        nn.Mish(),
        SquareLayer(),
        RoundingLayer(torch.bfloat16),
        smooth.ArctangentLayer(),
        smooth.ErrorFunctionLayer(),
        waves.SineLayer(),
        waves.CosineLayer(),
    ]


def _curves_between_ends() -> list[tuple[nn.Module, tuple[float, float]]]:
    """Curves that have no value everywhere, or values that soon are as large as the largest number."""
    return [
        (ExpLayer(), (-5.0, 5.0)),
        (CappedExpLayer(), (-5.0, 5.0)),
        (smooth.Expm1Layer(), (-5.0, 5.0)),
        (real_powers.PowerLayer(3), (-5.0, 5.0)),
        (real_powers.PowerLayer(0.75), (0.0, 5.0)),
        (ReciprocalLayer(), (0.1, 5.0)),
        (SquareRootLayer(), (0.1, 5.0)),
        (smooth.LogLayer(), (0.1, 5.0)),
        (smooth.Log1pLayer(), (-0.5, 5.0)),
    ]
