"""Rules of activations, by which bounds cross non-linear layers: ``relu`` holds that of ReLU, the other files those of the rest."""

from torch import nn

from inradius import LayerRule
from inradius_bounds.rules.activations.exponential import CappedExpRule, CELURule, ELURule, ExpRule
from inradius_bounds.rules.activations.piecewise import HardswishRule, HardtanhRule, LeakyReLURule, SoftshrinkRule
from inradius_bounds.rules.activations.powers import ReciprocalRule, SquareRootRule, SquareRule
from inradius_bounds.rules.activations.real_powers import power_rules
from inradius_bounds.rules.activations.relu import ReLURule
from inradius_bounds.rules.activations.rounding import RoundingRule
from inradius_bounds.rules.activations.sampled import GELURule, SiLURule
from inradius_bounds.rules.activations.sigmoid import LogSigmoidRule, SigmoidRule, SoftplusRule, TanhRule
from inradius_bounds.rules.activations.smooth import smooth_rules
from inradius_bounds.rules.activations.waves import wave_rules
from inradius_bounds.rules.functions import (
    CappedExpLayer,
    ExpLayer,
    ReciprocalLayer,
    RoundingLayer,
    SquareLayer,
    SquareRootLayer,
)


def activation_rules() -> dict[type[nn.Module], LayerRule]:
    """Each activation's layer class with its rule."""
    clipped = HardtanhRule()
    return {
        nn.ReLU: ReLURule(),
        nn.LeakyReLU: LeakyReLURule(),
        nn.Hardtanh: clipped,
        nn.ReLU6: clipped,
        nn.ELU: ELURule(),
        nn.CELU: CELURule(),
        nn.Sigmoid: SigmoidRule(),
        nn.Tanh: TanhRule(),
        nn.Softplus: SoftplusRule(),
        nn.LogSigmoid: LogSigmoidRule(),
        nn.GELU: GELURule(),
        nn.SiLU: SiLURule(),
        ExpLayer: ExpRule(),
        CappedExpLayer: CappedExpRule(),
        SquareLayer: SquareRule(),
        ReciprocalLayer: ReciprocalRule(),
        SquareRootLayer: SquareRootRule(),
        RoundingLayer: RoundingRule(),
        nn.Hardswish: HardswishRule(),
        nn.Softshrink: SoftshrinkRule(),
        **power_rules(),
        **smooth_rules(),
        **wave_rules(),
    }
