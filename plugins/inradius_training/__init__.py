"""Training: defenses, and the components that fill the slots of a run."""

from collections.abc import Callable, Mapping
from typing import Any

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


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    return {
        "hat(model='mlp(9, 4, 3)', attack=pgd(steps=2, objective=kl()))": {"shape": (1, 3, 3)},
        "cascade(mlp(4, 6, 3), mlp(4, 5, 3), threat=linf(eps=0.3), certifier=interval())": {"shape": (4,)},
        "cutout(size=2)": {},
        "cutout(size=3, inside=False)": {},
        # an example becomes a mixture with another of its batch
        "mixup()": {"without": ["batch_mates_change_nothing"]},
        "mixup(per='example')": {"without": ["batch_mates_change_nothing"]},
    }
