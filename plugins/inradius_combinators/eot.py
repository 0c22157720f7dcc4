"""Expectation over transformation: attacks on random models."""

from collections.abc import Callable
from typing import Self

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch, CountedModel, Observer
from inradius.attacks.composite import WrappingAttack
from inradius.components.validators import count


class Expected(CountedModel):
    """The mean logits of ``samples`` calls of a random model; each call counts as a query."""

    def __init__(self, subject: CountedModel, samples: int) -> None:
        # labels, outcome and count are those of the subject
        self.__dict__.update(subject.__dict__)
        self._subject, self._samples = subject, samples

    def __call__(self, x: Tensor) -> Tensor:
        # one call after the other, because a model may draw once for all of a batch
        return torch.stack([self._subject(x) for _ in range(self._samples)]).mean(0)

    def on(self, model: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(self._subject.on(model), self._samples)

    def take(self, mask: Tensor) -> Self:
        return type(self)(self._subject.take(mask), self._samples)


@attrs.frozen(kw_only=True)
class EOT(WrappingAttack):
    """The answer of an attack on the mean of ``samples`` forward passes: its gradients are means over them, too.

    For models that draw random numbers. These are the model's own and cannot be keyed to the example: unlike anywhere else
    here, results depend on the batch and on torch's global seed. The answer is judged by a single pass, as all are.
    Source: athalye2018eot.
    """

    positional = ("attack", "samples")

    # Croce and Hein 2020: the "rand" version
    samples: int = attrs.field(default=20, validator=count)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return self.attack.minimal

    def takes_means(self) -> bool:
        return True

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        mean = Expected(batch.model, self.samples)
        return self.attack.answer(
            attrs.evolve(batch, model=mean, rng=batch.rng.fork(self.attack.seed)), observe=observe
        )[0]
