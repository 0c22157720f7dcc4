"""A row of a table with one seed: a training, and the numbers that are measured of it."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import attrs
import torch

from inradius._version import __version__
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import DivergenceError
from inradius.models.load import load_model
from inradius.processes import alone
from inradius.recipes.named_recipe import NamedRecipe
from inradius.reproduction.column import Column
from inradius.reproduction.measuring import measured
from inradius.reproduction.table import Row
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.record import digest
from inradius.training.train import train

RUN, RECORD = "run", "cell.json"


@attrs.frozen(eq=False)
class Cell:
    """One training of a row, with what is measured of it, in a folder of its own below that of the table."""

    row: Row
    columns: tuple[Column, ...]
    seed: int
    home: Path
    device: torch.device | None = None

    @property
    def place(self) -> Path:
        """The file of the record; the folder's name has a hash of everything that determines the numbers."""
        told = {
            "recipe": self.recipe.settings() | {"train": self.row.train},
            "columns": [attrs.asdict(column) for column in self.columns],
            "seed": self.seed,
            "version": __version__,
            "examples": [_digest(spec) for spec in (self.recipe.data, self.recipe.evaluated_on)],
        }
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.=+-]+", "-", self.row.name).strip("-")
        return self.home / f"{name}-{self.seed}-{key}" / RECORD

    @property
    def recipe(self) -> NamedRecipe:
        return self.row.recipe

    def found(self) -> dict[str, Any]:
        """The record, of a training that goes on where it was stopped; one that diverges has no numbers and says why."""
        started, folder = process_time(), self.place.parent / RUN
        record: dict[str, Any] = {"row": self.row.name, "seed": self.seed, "values": {}, "failed": ""}
        with alone():
            try:
                record["values"] = self._measured(folder)
            except DivergenceError as error:
                record["failed"] = str(error)
        return record | {"seconds": round(process_time() - started, 1)}

    def _measured(self, folder: Path) -> dict[str, float]:
        recipe, judged = self.recipe, _data(self.recipe.evaluated_on).to(self.device or torch.device("cpu"))
        if not self.row.train:
            # a network without weights of its own has those of the seed
            with torch.random.fork_rng():
                torch.manual_seed(self.seed)
                network = load_model(recipe.model, device=self.device)
            return measured(network, None, recipe, judged, self.columns, self.seed)
        network = train(
            recipe.defense,
            recipe.model,
            _data(recipe.data),
            recipe.threat,
            folder=folder,
            device=self.device,
            select_on_test=recipe.select_on_test,
            **{**recipe.options, "seed": self.seed},
        )
        threat, method = make(recipe.threat, ThreatModel), make(recipe.defense, Defense)
        spec = method.trained_spec(recipe.model, threat, network)
        if spec != recipe.model:
            network = load_model(spec, folder / "best.safetensors")
        return measured(network, folder, recipe, judged, self.columns, self.seed)


def cells(rows: Sequence[Row], columns: tuple[Column, ...], seeds: int, home: Path, device: Any = None) -> list[Cell]:
    """The cells of these rows; all rows with the first seed come first, so that a table that is stopped has every row."""
    return [Cell(row, columns, seed, home, device) for seed in range(seeds) for row in rows]


@lru_cache(maxsize=4)
def _data(spec: str) -> Dataset:
    return make(spec, Dataset)


@lru_cache(maxsize=16)
def _digest(spec: str) -> str:
    data = _data(spec)
    return digest([data.inputs, data.labels, data.index])
