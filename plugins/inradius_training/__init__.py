"""Training: defenses, and the components that fill the slots of a run."""

from collections.abc import Callable, Mapping

from torch import nn

from inradius import Defense, Objective, hookimpl
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update
from inradius_training import adversarial, certification, distance
from inradius_training.certification.cascade import Cascade as Cascade
from inradius_training.certification.cascade import cascade
from inradius_training.directions import DIRECTIONS
from inradius_training.monitors import MONITORS
from inradius_training.objectives import OBJECTIVES
from inradius_training.regularizers import REGULARIZERS
from inradius_training.samplers import SAMPLERS
from inradius_training.schedules import SCHEDULES
from inradius_training.transforms import TRANSFORMS
from inradius_training.updates import UPDATES


@hookimpl
def defenses() -> list[type[Defense]]:
    return [*adversarial.DEFENSES, *distance.DEFENSES, *certification.DEFENSES]


@hookimpl
def models() -> Mapping[str, Callable[..., nn.Module]]:
    return {"cascade": cascade}


@hookimpl
def objectives() -> list[type[Objective]]:
    return OBJECTIVES


@hookimpl
def transforms() -> list[type[Transform]]:
    return TRANSFORMS


@hookimpl
def samplers() -> list[type[Sampler]]:
    return SAMPLERS


@hookimpl
def regularizers() -> list[type[Regularizer]]:
    return REGULARIZERS


@hookimpl
def directions() -> list[type[Direction]]:
    return DIRECTIONS


@hookimpl
def updates() -> list[type[Update]]:
    return UPDATES


@hookimpl
def schedules() -> list[type[Schedule]]:
    return SCHEDULES


@hookimpl
def monitors() -> list[type[Monitor]]:
    return MONITORS
