"""The recipe of a training run: its settings and its slots."""

from collections.abc import Callable
from typing import Any

import attrs

from inradius.components import validators
from inradius.components.component import Component
from inradius.training.option import SLOTS, option
from inradius.training.run_settings import RunSettings
from inradius.training.schedule import Constant, Schedule
from inradius.training.slots.direction import Average, Direction
from inradius.training.slots.monitor import Monitor
from inradius.training.slots.regularizer import Regularizer
from inradius.training.slots.sampler import Sampler, Shuffled
from inradius.training.slots.transform import Transform
from inradius.training.slots.update import Plain, Update


def _all(kind: type) -> Callable[[Any, Any, Any], None]:
    return attrs.validators.deep_iterable(validators.component(kind), attrs.validators.instance_of(tuple))


def _slot(help: str, flag: str = "") -> dict[str, Any]:  # noqa: A002  # typer's own name for it
    return option(help, "SPEC", group=SLOTS, flag=flag)


@attrs.frozen(kw_only=True)
class Recipe(RunSettings):
    """The length and the steps of a training run; equal recipes and seeds give equal runs.

    Each field is an option of ``inradius.train`` and of the command ``inradius train``: both read names, defaults and checks
    here. ``lr`` is the first learning rate, by default 1e-3, for sgd 0.1, and ``schedule`` changes it. ``ema`` is the share of a
    moving average of the weights that a step keeps; that average is then scored and kept. ``precision`` is that of training's
    forward passes, also within attacks: float32, bfloat16 or float16 (gradients have scales, so that small ones are not lost);
    weights, bounds and validation are in float32. ``compile`` has torch compile the network. ``validation`` is the
    share of the data that is held out, 0 where another data set is.

    The slots: ``transforms`` change each mini-batch, ``sampler`` chooses its examples, ``radius`` is a schedule of the set's
    radius, ``regularizers`` are added to the loss, ``direction`` makes one gradient of several, ``update`` moves the weights,
    ``monitors`` watch, and may end the run or roll it back.
    """

    transforms: tuple[Transform, ...] = attrs.field(
        default=(),
        validator=_all(Transform),
        metadata=_slot("A random change of the inputs, as in shift(pixels=2); one or several.", "--transform"),
    )
    sampler: Sampler = attrs.field(
        factory=Shuffled,
        validator=validators.component(Sampler),
        metadata=_slot("Which examples make a mini-batch, as in cfol."),
    )
    radius: Schedule = attrs.field(
        factory=Constant,
        validator=validators.component(Schedule),
        metadata=_slot("A schedule of the set's radius, as in ramp(over=0.3)."),
    )
    regularizers: tuple[Regularizer, ...] = attrs.field(
        default=(),
        validator=_all(Regularizer),
        metadata=_slot("A penalty on the loss, as in grad_align(weight=0.2); one or several.", "--regularizer"),
    )
    direction: Direction = attrs.field(
        factory=Average,
        validator=validators.component(Direction),
        metadata=_slot("How several gradients become one, as in min_norm."),
    )
    update: Update = attrs.field(
        factory=Plain,
        validator=validators.component(Update),
        metadata=_slot("How gradients move the weights, as in awp."),
    )
    monitors: tuple[Monitor, ...] = attrs.field(
        default=(),
        validator=_all(Monitor),
        metadata=_slot("A watch on the run, as in catastrophic_overfitting; one or several.", "--monitor"),
    )

    def __attrs_post_init__(self) -> None:
        for regularizer in self.regularizers:
            if regularizer.second_order and (self.precision == "float16" or self.compile):
                given = "compile=True" if self.compile else "precision='float16'"
                raise ValueError(
                    f"{regularizer} takes gradients of gradients, which {given} does not give; allowed are precision='float32' "
                    "and 'bfloat16' without compile"
                )

    def settings(self) -> dict[str, object]:
        """The settings as plain values, for records."""
        return {name: _plain(value) for name, value in attrs.asdict(self, recurse=False).items()}


def _plain(value: object) -> object:
    """A component as its whole spec, a tuple of them as a list."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.spec(full=True) if isinstance(value, Component) else value
