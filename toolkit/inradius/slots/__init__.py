"""The slots of a training run: what it is made of beside its defense, each a kind of component that plugins add to."""

from inradius.hookspecs import hookimpl
from inradius.slots.direction import Average as Average
from inradius.slots.direction import Direction as Direction
from inradius.slots.monitor import Action as Action
from inradius.slots.monitor import Monitor as Monitor
from inradius.slots.monitor import RollBack as RollBack
from inradius.slots.monitor import Set as Set
from inradius.slots.monitor import Stop as Stop
from inradius.slots.regularizer import Regularizer as Regularizer
from inradius.slots.sampler import Sampler as Sampler
from inradius.slots.sampler import Shuffled as Shuffled
from inradius.slots.schedule import Constant as Constant
from inradius.slots.schedule import Cosine as Cosine
from inradius.slots.schedule import Schedule as Schedule
from inradius.slots.transform import Transform as Transform
from inradius.slots.update import Plain as Plain
from inradius.slots.update import Update as Update


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
