"""Monitors: measurements during a run."""

from inradius.training.slots import Monitor
from inradius_training.monitors.catastrophic_overfitting import CatastrophicOverfitting
from inradius_training.monitors.class_accuracy import ClassAccuracy
from inradius_training.monitors.gradient_misalignment import GradientMisalignment
from inradius_training.monitors.maximizer_distance import MaximizerDistance
from inradius_training.monitors.robust_overfitting import RobustOverfitting
from inradius_training.monitors.robustness_loss import RobustnessLoss
from inradius_training.monitors.tensorboard import Tensorboard
from inradius_training.monitors.under_attack import UnderAttack

MONITORS: list[type[Monitor]] = [
    CatastrophicOverfitting,
    RobustOverfitting,
    ClassAccuracy,
    GradientMisalignment,
    MaximizerDistance,
    RobustnessLoss,
    Tensorboard,
    UnderAttack,
]
