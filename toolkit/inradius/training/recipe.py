"""The settings of a training run that belong to no defense: length, optimiser, schedule, validation split."""

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import torch
from torch import nn

from inradius import validators
from inradius.data import Dataset
from inradius.errors import InputError
from inradius.training.augment import Shift, as_augment

# the learning rate at a share of the run, as a multiple of ``lr``
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "linear": lambda t: 1 - t,
    # divided by 10 at one half and at three quarters (Rice et al. 2020, sec. 3)
    "steps": lambda t: 1.0 if t < 0.5 else 0.1 if t < 0.75 else 0.01,
    # up and down again, the peak at two fifths (Wong et al. 2020, released code)
    "cyclic": lambda t: t / 0.4 if t < 0.4 else (1 - t) / 0.6,
}

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


@attrs.frozen(kw_only=True)
class Recipe:
    """How long and by which steps a network is trained; equal recipes and seeds give equal runs."""

    epochs: int = attrs.field(default=20, validator=validators.count)
    batch_size: int = attrs.field(default=128, validator=validators.count)
    optimizer: str = attrs.field(default="adam", validator=_one_of(OPTIMIZERS))
    lr: float = attrs.field(default=1e-3, validator=validators.positive)
    schedule: str = attrs.field(default="cosine", validator=_one_of(SCHEDULES))
    weight_decay: float = attrs.field(default=0.0, validator=validators.radius)
    clip: float | None = attrs.field(default=None, validator=attrs.validators.optional(validators.positive))
    validation: float = attrs.field(default=0.1, validator=_held_out_share)
    augment: Shift | None = attrs.field(default=None, converter=as_augment)
    seed: int = attrs.field(default=0, validator=validators.integer)

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the run."""
        return self.lr * SCHEDULES[self.schedule](progress)

    def optimise(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """An optimiser of these parameters, as the recipe says."""
        return OPTIMIZERS[self.optimizer](parameters, lr=self.lr, weight_decay=self.weight_decay)

    def split(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """The examples to train on and those held out to compare checkpoints, drawn by the seed alone."""
        held = math.ceil(self.validation * len(data))
        if not len(data) - held:
            raise InputError(
                f"{data.name} has {len(data)} examples, and validation={self.validation} leaves none to train on; "
                "give more data or a smaller share"
            )
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive(self.seed, "split")))
        return data.select(order[held:].sort().values), data.select(order[:held].sort().values)

    def settings(self) -> dict[str, object]:
        """The settings as plain values, for records."""
        return attrs.asdict(self, recurse=False) | {"augment": str(self.augment) if self.augment else None}


def derive(*parts: object) -> int:
    """A seed that is a function of the parts, below 2⁵⁶."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")
