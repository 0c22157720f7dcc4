"""How a number changes over a run."""

from inradius.slots import Schedule
from inradius_training.schedules.cyclic import Cyclic
from inradius_training.schedules.elle_a import ElleA
from inradius_training.schedules.linear import Linear
from inradius_training.schedules.ramp import Ramp
from inradius_training.schedules.steps import Steps

SCHEDULES: list[type[Schedule]] = [Linear, Steps, Cyclic, Ramp, ElleA]
