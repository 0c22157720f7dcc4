"""The slots of a training run, each filled by a kind of component that plugins add to."""

from inradius.components.hookimpl import hookimpl
from inradius.training.actions import Action as Action
from inradius.training.actions import RollBack as RollBack
from inradius.training.actions import Set as Set
from inradius.training.actions import Stop as Stop
from inradius.training.schedule import Constant as Constant
from inradius.training.schedule import Cosine as Cosine
from inradius.training.schedule import Schedule as Schedule
from inradius.training.slots.direction import Average as Average
from inradius.training.slots.direction import Direction as Direction
from inradius.training.slots.monitor import Monitor as Monitor
from inradius.training.slots.regularizer import Regularizer as Regularizer
from inradius.training.slots.sampler import Sampler as Sampler
from inradius.training.slots.sampler import Shuffled as Shuffled
from inradius.training.slots.transform import Transform as Transform
from inradius.training.slots.update import Plain as Plain
from inradius.training.slots.update import Update as Update


@hookimpl
def schedules() -> list[type[Schedule]]:
    return [Constant, Cosine]


@hookimpl
def samplers() -> list[type[Sampler]]:
    return [Shuffled]


@hookimpl
def directions() -> list[type[Direction]]:
    return [Average]


@hookimpl
def updates() -> list[type[Update]]:
    return [Plain]
