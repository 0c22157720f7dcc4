"""Schedules: how a number changes over a run."""

from inradius.training.slots import Schedule
from inradius_training.schedules.cyclic import Cyclic
from inradius_training.schedules.elle_a import ElleA
from inradius_training.schedules.linear import Linear
from inradius_training.schedules.multiple import Multiple
from inradius_training.schedules.piecewise_linear import PiecewiseLinear
from inradius_training.schedules.ramp import Ramp
from inradius_training.schedules.steps import Steps
from inradius_training.schedules.warmup import Warmup

SCHEDULES: list[type[Schedule]] = [Linear, Steps, Multiple, Cyclic, Ramp, PiecewiseLinear, Warmup, ElleA]
