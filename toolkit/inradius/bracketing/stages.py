"""The stages of a run: the clean pass, each attack, each certifier; each answers for a batch, in columns."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius.attack import Attack
from inradius.bracketing.job import Job
from inradius.bracketing.ledger import CLEAN
from inradius.certifier import Certifier
from inradius.data import Dataset
from inradius.errors import InputError
from inradius.objective import class_margin
from inradius.subject import Subject

Columns = dict[str, Tensor]


class Stage(ABC):
    """One method on all the examples that need it. ``name`` is its name in the run folder, ``title`` what a reader sees."""

    name: str
    title: str

    @abstractmethod
    def answer(self, job: Job, batch: Dataset) -> tuple[Columns, Tensor | None]:
        """Columns of (B,) for a batch, and the perturbations (B, *S) where there are any."""


@attrs.frozen
class CleanStage(Stage):
    """The prediction and the margin without perturbation."""

    name: str = CLEAN
    title: str = "clean pass"

    def answer(self, job: Job, batch: Dataset) -> tuple[Columns, None]:
        subject = Subject(job.subject, batch.labels)
        try:
            with torch.no_grad():
                logits = subject(batch.inputs)
        except RuntimeError as error:
            shape, reason = tuple(batch.inputs.shape[1:]), str(error).splitlines()[0]
            raise InputError(
                f"the model cannot take inputs of shape {shape} ({reason}); allowed is the shape it was built for"
            ) from error
        return {"predicted": logits.argmax(1), "margin": class_margin(logits, batch.labels)}, None


@attrs.frozen
class AttackStage(Stage):
    """An attack, on the union where the set is one."""

    name: str
    attack: Attack

    @property
    def title(self) -> str:  # type: ignore[override]
        return str(self.attack)

    def answer(self, job: Job, batch: Dataset) -> tuple[Columns, Tensor]:
        found = self.attack(job.subject, batch.inputs, batch.labels, job.threat, index=batch.index)
        columns = {
            "success": found.success,
            "margin": found.margin,
            "gauge": found.gauge,
            "violation": job.threat.violation(found.delta, batch.inputs),
            "inside": found.inside,
            "queries": found.queries,
        }
        return columns, found.delta


@attrs.frozen
class CertifierStage(Stage):
    """A certifier; of the bounds of an example the smallest counts."""

    name: str
    certifier: Certifier

    @property
    def title(self) -> str:  # type: ignore[override]
        return str(self.certifier)

    def answer(self, job: Job, batch: Dataset) -> tuple[Columns, None]:
        # without gradients the certifier bounds what rounding leaves open again in float64
        with torch.no_grad():
            found = self.certifier(
                job.model, batch.inputs, batch.labels, job.threat, index=batch.index, parts=job.parts
            )
        lower, error = found.lower.double(), found.error.double()
        bound, guaranteed = lower.amin(1), (lower - error).amin(1)
        columns = {
            "certified": found.certified,
            "bound": bound,
            # where a bound is infinite there is nothing to subtract
            "error": (bound - guaranteed).nan_to_num(nan=0.0),
            "precision": found.precision,
            "failure_probability": torch.full_like(bound, found.failure_probability),
        }
        return columns, None


def stages(job: Job) -> Iterator[Stage]:
    """The attacks and certifiers in the order they run: the first certifier, the first attack, the second certifier, ...

    Within a kind the given order stands: whoever lists cheap methods first has the cheapest first. A certifier goes before
    its attack because a bound takes a few passes and an attack as many as it has steps. Times are not measured: an order
    that depends on the machine would make the results depend on it.
    """
    for n, (certifier, attack) in enumerate(zip_longest(job.certifiers, job.attacks)):
        if certifier is not None:
            yield CertifierStage(f"certifier {n}", certifier)
        if attack is not None:
            yield AttackStage(f"attack {n}", attack)


def plain(columns: Columns) -> dict[str, list[Any]]:
    """The columns as lists of numbers."""
    return {name: column.tolist() for name, column in columns.items()}
