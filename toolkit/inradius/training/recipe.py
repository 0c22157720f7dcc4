"""The settings of a training run that belong to no defense: length, optimiser, schedule, validation split."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import torch
from torch import nn

from inradius.components import validators
from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.training.derive import derive
from inradius.training.precision import PRECISIONS
from inradius.training.slots.direction import Average, Direction
from inradius.training.slots.monitor import Monitor
from inradius.training.slots.regularizer import Regularizer
from inradius.training.slots.sampler import Sampler, Shuffled
from inradius.training.slots.schedule import Constant, Cosine, Schedule
from inradius.training.slots.transform import Transform
from inradius.training.slots.update import Plain, Update

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    # momentum 0.9 is what every paper on adversarial training uses
    "sgd": lambda parameters, **options: torch.optim.SGD(parameters, momentum=0.9, **options),
}

# the optimiser's usual first learning rate
RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.1}


def _one_of(table: Iterable[str]) -> Callable[[Any, Any, object], None]:
    known = tuple(table)

    def check(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if value not in known:
            raise ValueError(f"{field.name}={value!r} is not known; allowed are {', '.join(known)}")

    return check


def _held_out_share(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(
            f"{field.name}={value!r} is not allowed; allowed is a share of the data, at least 0 and below 1"
        )


def _below_one(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a number above 0 and below 1, as in 0.995")


def _seed(instance: Any, field: "attrs.Attribute[Any]", value: int) -> None:
    validators.integer(instance, field, value)
    if value >= 2**63:
        raise ValueError(f"{field.name}={value} is not allowed; allowed is an integer ≥ 0 and below 2**63")


def _all(kind: type) -> Callable[[Any, Any, Any], None]:
    return attrs.validators.deep_iterable(validators.component(kind), attrs.validators.instance_of(tuple))


@attrs.frozen(kw_only=True)
class Recipe:
    """How long and by which steps a network is trained; equal recipes and seeds give equal runs."""

    epochs: int = attrs.field(default=20, validator=validators.count)
    batch_size: int = attrs.field(default=128, validator=validators.count)
    optimizer: str = attrs.field(default="adam", validator=_one_of(OPTIMIZERS))
    lr: float = attrs.field(default=1e-3, validator=validators.positive)
    schedule: Schedule = attrs.field(factory=Cosine, validator=validators.component(Schedule))
    weight_decay: float = attrs.field(default=0.0, validator=validators.radius)
    clip: float | None = attrs.field(default=None, validator=attrs.validators.optional(validators.positive))
    # the share of the average's weights that each step keeps, None for no average
    ema: float | None = attrs.field(default=None, validator=attrs.validators.optional(_below_one))
    precision: str = attrs.field(default="float32", validator=_one_of(PRECISIONS))
    compile: bool = attrs.field(default=False, validator=validators.flag)
    validation: float = attrs.field(default=0.1, validator=_held_out_share)
    radius: Schedule = attrs.field(factory=Constant, validator=validators.component(Schedule))
    transforms: tuple[Transform, ...] = attrs.field(default=(), validator=_all(Transform))
    sampler: Sampler = attrs.field(factory=Shuffled, validator=validators.component(Sampler))
    regularizers: tuple[Regularizer, ...] = attrs.field(default=(), validator=_all(Regularizer))
    direction: Direction = attrs.field(factory=Average, validator=validators.component(Direction))
    update: Update = attrs.field(factory=Plain, validator=validators.component(Update))
    monitors: tuple[Monitor, ...] = attrs.field(default=(), validator=_all(Monitor))
    seed: int = attrs.field(default=0, validator=_seed)

    def __attrs_post_init__(self) -> None:
        for regularizer in self.regularizers:
            if regularizer.second_order and (self.precision == "float16" or self.compile):
                given = "compile=True" if self.compile else "precision='float16'"
                raise ValueError(
                    f"{regularizer} takes gradients of gradients, which {given} does not give; allowed are precision='float32' "
                    "and 'bfloat16' without compile"
                )

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the run."""
        return self.lr * self.schedule(progress)

    def optimise(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """An optimiser of those parameters that are to be trained, as the recipe says."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            raise InputError(
                "the model has no weights to train; allowed is one with parameters that ask for a gradient"
            )
        return OPTIMIZERS[self.optimizer](trained, lr=self.lr, weight_decay=self.weight_decay)

    def split(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """The examples to train on and those held out to compare checkpoints, drawn by the seed alone.

        Of data that were joined, a share of the first set is held out: what was added may have labels that nobody checked.
        """
        own = torch.arange(len(data)) if data.source is None else (data.source == 0).nonzero().squeeze(1).cpu()
        held = math.ceil(self.validation * len(own))
        if not len(data) - held:
            raise InputError(
                f"{data.name} has {len(data)} examples, and validation={self.validation} leaves none to train on; "
                "give more data or a smaller share"
            )
        order = own[torch.randperm(len(own), generator=torch.Generator().manual_seed(derive(self.seed, "split")))]
        left = torch.ones(len(data), dtype=torch.bool)
        left[order[:held]] = False
        return data.select(left.nonzero().squeeze(1)), data.select(order[:held].sort().values)

    def settings(self) -> dict[str, object]:
        """The settings as plain values, for records."""
        return {name: _plain(value) for name, value in attrs.asdict(self, recurse=False).items()}


def _plain(value: object) -> object:
    """A component as its whole spec, a tuple of them as a list."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.spec(full=True) if isinstance(value, Component) else value
