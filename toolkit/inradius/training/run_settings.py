"""The settings of a training run that are numbers and names: length, optimiser, precision, validation split, seed."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import torch
from torch import nn

from inradius.components import validators
from inradius.components.component import Component
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.rng import derive
from inradius.training.option import OPTIMISATION, SELECTION, option
from inradius.training.precision import PRECISIONS, Precision
from inradius.training.schedule import Cosine, Schedule

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
# those with a parameter for momentum; most papers on adversarial training use 0.9
MOMENTUM = {"sgd": 0.9}

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


def _momentum(instance: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{field.name}={value!r} is not allowed; allowed is a number of at least 0 and below 1")
    if instance.optimizer not in MOMENTUM:
        raise ValueError(
            f"{field.name}={value!r} was given with {instance.optimizer}, which has none; allowed is momentum with "
            f"{', '.join(MOMENTUM)}"
        )


def _usual_momentum(settings: "RunSettings") -> float | None:
    return MOMENTUM.get(settings.optimizer)


def _usual_rate(settings: "RunSettings") -> float:
    # an optimiser that is not known is refused once all fields are there
    return RATES.get(settings.optimizer, 1e-3)


@attrs.frozen(kw_only=True)
class RunSettings:
    """The settings of a run that hold no slot which looks at the run; ``Recipe`` adds the slots."""

    epochs: int = attrs.field(
        default=20, validator=validators.count, metadata=option("How often each example is seen.", "N")
    )
    batch_size: int = attrs.field(
        default=128, validator=validators.count, metadata=option("How many examples at once.", "N")
    )
    seed: int = attrs.field(default=0, validator=_seed, metadata=option("Draws all that is left to chance.", "N"))
    optimizer: str = attrs.field(
        default="adam",
        validator=_one_of(OPTIMIZERS),
        metadata=option("adam, adamw or sgd.", "NAME", group=OPTIMISATION),
    )
    lr: float = attrs.field(
        default=attrs.Factory(_usual_rate, takes_self=True),
        validator=validators.positive,
        metadata=option("The first learning rate.", "RATE", group=OPTIMISATION, default="0.001, for sgd 0.1"),
    )
    schedule: Schedule = attrs.field(
        factory=Cosine,
        validator=validators.component(Schedule),
        metadata=option(
            "A schedule of the rate: constant, cosine, linear, steps, cyclic and others.",
            "SPEC",
            group=OPTIMISATION,
            default="cosine",
        ),
    )
    momentum: float | None = attrs.field(
        default=attrs.Factory(_usual_momentum, takes_self=True),
        validator=_momentum,
        metadata=option("The momentum of sgd.", "FACTOR", group=OPTIMISATION, default="0.9 for sgd"),
    )
    weight_decay: float = attrs.field(
        default=0.0,
        validator=validators.radius,
        metadata=option("The optimiser's weight decay.", "FACTOR", group=OPTIMISATION),
    )
    clip: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(validators.positive),
        metadata=option("A bound on the gradient's norm.", "NORM", group=OPTIMISATION),
    )
    ema: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_below_one),
        metadata=option(
            "Keep a moving average of the weights; the share that each step keeps, as in 0.995.",
            "SHARE",
            group=OPTIMISATION,
        ),
    )
    precision: str = attrs.field(
        default="float32",
        validator=_one_of(PRECISIONS),
        metadata=option("float32, bfloat16 or float16.", "NAME", group=OPTIMISATION),
    )
    compile: bool = attrs.field(
        default=False,
        validator=validators.flag,
        metadata=option("Have torch compile the network.", group=OPTIMISATION, flag="--compile"),
    )
    validation: float = attrs.field(
        default=0.1,
        validator=_held_out_share,
        metadata=option(
            "The share of the data that is held out to compare checkpoints, or other data by name.",
            "SHARE|SPEC",
            group=SELECTION,
        ),
    )

    def rate(self, progress: float) -> float:
        """The learning rate at a share of the run."""
        return self.lr * self.schedule(progress)

    def optimise(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """An optimiser of those parameters that are to be trained."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if not trained:
            raise InputError(
                "the model has no weights to train; allowed is one with parameters that ask for a gradient"
            )
        options = {} if self.momentum is None else {"momentum": self.momentum}
        return OPTIMIZERS[self.optimizer](trained, lr=self.lr, weight_decay=self.weight_decay, **options)

    def precise(self, device: torch.device) -> Precision:
        """The precision of the forward passes on this device."""
        return Precision(self.precision, device)

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

    def components(self) -> Iterator[Component]:
        """The components among the settings."""
        for value in attrs.asdict(self, recurse=False).values():
            yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Component))
