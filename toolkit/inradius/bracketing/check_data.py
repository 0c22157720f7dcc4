"""A check of all the data, batch by batch, and their fingerprint."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from inradius.arguments import check_tensor
from inradius.data.dataset import Dataset, Examples
from inradius.errors import InputError
from inradius.models.initialised import check_initialised
from inradius.models.outputs import takes
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.sets.arithmetic.sides import listed
from inradius.sets.threat_model import ThreatModel


def check_data(model: nn.Module, data: Examples, threat: ThreatModel, batch_size: int, outcome: Outcome = TOP1) -> str:
    """The sha256 of the inputs, labels, numbers and box, in hexadecimal; equal data give an equal one, read in any way.

    Raises ``InputError`` where the data cannot be bracketed.
    """
    _check_fields(model, data)
    digest = hashlib.sha256(repr(listed(data.bounds)).encode())
    for number, batch in enumerate(_batches(data, batch_size)):
        _check(data, batch, number * batch_size, threat, outcome)
        if not number:
            _check_type(model, batch)
            digest.update(_head("inputs", batch.inputs.dtype, (len(data.labels), *batch.inputs.shape[1:])))
        digest.update(_content(batch.inputs))
    for name, value in (("labels", data.labels), ("index", data.index)):
        digest.update(_head(name, value.dtype, tuple(value.shape)))
        digest.update(_content(value))
    return digest.hexdigest()


def _batches(data: Examples, size: int) -> Iterator[Dataset]:
    """The data in batches that fit in memory; a ``Dataset``, which is in memory already, is one batch."""
    if isinstance(data, Dataset):
        yield data
        return
    rows = torch.arange(len(data.labels))
    for first in range(0, len(rows), size):
        yield data.select(rows[first : first + size])


def _check_fields(model: nn.Module, data: Examples) -> None:
    """Raises ``InputError`` for a wrong model, and for wrong labels and numbers, before any input is read."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}; allowed is a torch.nn.Module")
    check_initialised(model)
    missing = [name for name in ("labels", "index", "bounds", "name", "select") if not hasattr(data, name)]
    if missing:
        raise InputError(
            f"the data are a {type(data).__name__} without {', '.join(missing)}; allowed are an inradius.Dataset, for instance "
            "Dataset.of(x, y), and an inradius.LazyDataset"
        )
    check_tensor(data.labels, f"the labels of {data.name}")
    check_tensor(data.index, f"the index of {data.name}")
    if not len(data.labels):
        raise InputError(f"{data.name} has no examples; at least one is needed")
    if data.index.shape != data.labels.shape[:1]:
        raise InputError(
            f"{data.name} has numbers of shape {tuple(data.index.shape)}; allowed is one per example, ({len(data.labels)},)"
        )


def _check_type(model: nn.Module, batch: Dataset) -> None:
    """Raises ``InputError`` where parameters have another type than the inputs, and the model does not cast them itself."""
    for parameter in model.parameters():
        if parameter.is_floating_point() and parameter.dtype != batch.inputs.dtype:
            if takes(model, batch.inputs[:1].to(parameter.device)):
                return
            raise InputError(
                f"{batch.name} is {batch.inputs.dtype} and the model {parameter.dtype}; give both in one type, "
                f"for instance model.to({batch.inputs.dtype})"
            )


def _check(data: Examples, batch: Dataset, first: int, threat: ThreatModel, outcome: Outcome) -> None:
    try:
        outcome.check_labels(batch.inputs, batch.labels)
        threat.check_inputs(batch.inputs)
    except InputError as error:
        if batch is data:
            raise
        raise InputError(f"{data.name}, in the rows from {first} on: {error}") from error


def _head(name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> bytes:
    return f"\n{name} {dtype} {shape}\n".encode()


def _content(value: Tensor) -> Any:
    """The bytes of a tensor, without a copy of those in memory."""
    return value.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data
