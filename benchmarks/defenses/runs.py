"""What the experiments share: a run for each method and seed, and a table of what came out."""

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

import inradius
from inradius import Attack, Dataset, RunState, ThreatModel
from inradius.training.slots import Action, Monitor


@attrs.frozen(kw_only=True)
class UnderAttack(Monitor):
    """Notes the accuracy on the held-out examples under each of some attacks, by its name."""

    positional = ("*attacks",)

    attacks: tuple[Attack, ...] = ()

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        for attack in self.attacks:
            run.log(**{attack.spec_name(): accuracy(model, run.held_out, threat, attack)})
        return []


def accuracy(model: nn.Module, data: Dataset, threat: ThreatModel, attack: Attack) -> float:
    """The share of examples that withstand the attack."""
    return 1 - float(attack(model, data.inputs, data.labels, threat, index=data.index).success.double().mean())


def history(folder: Path) -> list[dict[str, float]]:
    """The metrics of each epoch of a run."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def fit(
    folder: Path, method: Mapping[str, object], model: str, data: Dataset, threat: str, **options: object
) -> tuple[nn.Module, float]:
    """The network of a run, resumed where it was stopped, and the seconds that its epochs took."""
    settings = {**options, **method}
    defense = settings.pop("defense")
    network = inradius.train(defense, model, data, threat, folder=folder, **settings)  # type: ignore[arg-type]
    return network, sum(line["seconds"] for line in history(folder))


def table(rows: Mapping[str, Mapping[str, Iterable[float]]], path: Path) -> None:
    """Prints mean ± deviation over the seeds, and keeps every number."""
    kept = {name: {column: list(values) for column, values in row.items()} for name, row in rows.items()}
    columns = list(next(iter(kept.values())))
    print("method".ljust(24), *(column.rjust(16) for column in columns))
    for name, row in kept.items():
        cells = []
        for column in columns:
            values = row[column]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}".rjust(16))
        print(name.ljust(24), *cells, flush=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")


def one_thread() -> None:
    torch.set_num_threads(1)


def worst_class(model: nn.Module, data: Dataset, threat: ThreatModel, attack: Attack) -> tuple[float, Tensor]:
    """The smallest accuracy of a class under attack, and that of every class, (C,)."""
    right = ~attack(model, data.inputs, data.labels, threat, index=data.index).success
    each = torch.stack([right[data.labels == label].double().mean() for label in range(data.classes)])
    return float(each.min()), each
