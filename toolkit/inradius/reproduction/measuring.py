"""The numbers of a trained network that a table's columns ask for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import process_time

import attrs
import torch
from torch import nn

from inradius.attacking.attack import attack
from inradius.attacks.attack import Attack
from inradius.certifiers.certifier import Certifier
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.models.load import load_weights
from inradius.models.modes import evaluating
from inradius.recipes.named_recipe import NamedRecipe
from inradius.report.history import METRICS
from inradius.reproduction.column import Column
from inradius.sets.threat_model import ThreatModel
from inradius.stored.reading import records

# examples at once
_BATCH = 256
Line = Mapping[str, float]


def measured(
    network: nn.Module, folder: Path | None, recipe: NamedRecipe, data: Dataset, columns: Sequence[Column], seed: int
) -> dict[str, float]:
    """The number in each column, from a network and the folder of its run; a network without one keeps its own weights.

    The attacks on such a network have the seed, since nothing else has. Raises ``InputError`` where the run logged no number of the
    name that a column has.
    """
    threat, found, seconds = make(recipe.threat, ThreatModel), dict[str, float](), dict[str, float]()
    for weights in ("best", "last"):
        asked = [c for c in columns if c.weights == weights and c.measure in ("clean", "attacked", "certified")]
        if asked and folder is not None:
            load_weights(network, folder / f"{weights}.safetensors")
        for column in asked:
            against, started = make(column.threat, ThreatModel) if column.threat else threat, process_time()
            share = _share(network, data, against, column, None if folder is not None else seed)
            found[column.name], seconds[column.name] = column.shown(share), process_time() - started
    found |= {column.name: seconds[column.of[0]] for column in columns if column.measure == "seconds"}
    logged = [column for column in columns if column.measure == "epochs"]
    if logged and folder is not None:
        lines = [line for line in records(folder / METRICS) if not line.get("rolled_back")]
        found |= {column.name: column.shown(_logged(lines, column)) for column in logged}
    for column in columns:
        if column.measure == "difference":
            found[column.name] = found[column.of[0]] - found[column.of[1]]
    return found


def _share(network: nn.Module, data: Dataset, threat: ThreatModel, column: Column, seed: int | None) -> float:
    """The share of examples that are right, withstand the attack (with another seed where one is given), or are certified."""
    if column.measure == "attacked":
        chosen = make(column.spec, Attack)
        chosen = chosen if seed is None else attrs.evolve(chosen, seed=seed)
        found = attack(network, data.inputs, data.labels, threat, chosen, batch_size=_BATCH)
        return 1 - float(found.success.double().mean())
    certifier = make(column.spec, Certifier) if column.measure == "certified" else None
    right = 0.0
    with evaluating(network), torch.no_grad():
        for batch in data.batches(_BATCH):
            if certifier is None:
                right += float((network(batch.inputs).argmax(1) == batch.labels).sum())
            else:
                right += float(
                    certifier(network, batch.inputs, batch.labels, threat, index=batch.index).certified.sum()
                )
    return right / len(data)


def _logged(lines: Sequence[Line], column: Column) -> float:
    """The number of the epochs that a column takes."""
    values = _values(lines, column.key)
    few = values[-column.epochs :]
    if column.take == "max":
        return max(values)
    if column.take == "at":
        return values[max(1, math.ceil(column.at * len(values))) - 1]
    if column.take == "where":
        return values[_last_largest(_values(lines, column.by))]
    if column.take == "final" and any("score" in line for line in lines):
        return values[_last_largest(_values(lines, "score"))]
    return sum(few) / len(few)


def _last_largest(values: Sequence[float]) -> int:
    """The place of the largest number, the last of equals, as for the weights that are kept."""
    return max(range(len(values)), key=lambda place: (values[place], place))


def _values(lines: Sequence[Line], key: str) -> list[float]:
    found = [line[key] for line in lines if key in line]
    if not found or len(found) != len(lines):
        raise InputError(f"the run logs no {key!r} after each epoch; it logs {', '.join(_logs(lines)) or 'nothing'}")
    return found


def _logs(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in line))
