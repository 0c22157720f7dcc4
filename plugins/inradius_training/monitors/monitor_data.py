"""The examples that monitors measure on, and the names of their numbers."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from inradius import Attack, Dataset, InputError, PluginError, RunState, ThreatModel
from inradius.components.default import default
from inradius.training.slots import Monitor


def pgd(steps: int, *, of: str) -> Callable[[], Attack]:
    """A factory of PGD with so many steps of a quarter of the radius: 2/255 of 8/255, as in Rice et al. 2020, sec. 3."""
    return default(f"pgd(steps={steps}, step=0.25)", Attack, of=of)


def training_examples(monitor: Monitor, count: int, run: RunState) -> Dataset:
    """This process's part of ``count`` training examples, the same in every epoch, on the run's device."""
    if run.data is None:
        raise PluginError(
            f"{monitor} measures on training examples, and {run.defense} takes no batches from the run; allowed are defenses "
            "that use run.batches"
        )
    # drawn at random, because the first examples of a sorted set are all of one class
    order = torch.randperm(len(run.data), generator=torch.Generator().manual_seed(run.seed))
    rows = order[:count].sort().values
    if len(rows) < run.processes.count:
        raise InputError(
            f"{monitor} measures on {len(rows)} training examples, and {run.processes.count} processes share them; allowed is at "
            "least one for each"
        )
    return _own_part(run.data, rows, run)


def held_out_examples(count: int | None, run: RunState) -> Dataset:
    """This process's part of the first ``count`` held-out examples (None: all), on the run's device."""
    return _own_part(run.held_out, torch.arange(len(run.held_out))[:count], run)


def check_held_out(monitor: Monitor, run: RunState) -> None:
    """Raises ``InputError`` where the run holds nothing out."""
    if not len(run.held_out):
        raise InputError(
            f"{monitor} measures on held-out examples, and this run has none; allowed are a share above 0 and a data set as "
            "validation"
        )


def _own_part(data: Dataset, rows: Tensor, run: RunState) -> Dataset:
    return data.select(run.processes.shard(rows)).to(run.device)


def robust_examples(attack: Attack, model: nn.Module, examples: Dataset, threat: ThreatModel, run: RunState) -> Tensor:
    """True for the examples that the attack does not break, (B,), with BatchNorm in eval mode."""
    found = [
        ~attack(model, batch.inputs, batch.labels, threat, index=batch.index).success
        for batch in examples.batches(run.recipe.batch_size)
    ]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool, device=run.device)


def title(monitor: Monitor, run: RunState) -> str:
    """The monitor's name; with a number where the run has several of this name."""
    alike = [one for one in run.recipe.components() if one.spec_name() == monitor.spec_name()]
    return monitor.spec_name() if len(alike) < 2 else f"{monitor.spec_name()}_{alike.index(monitor) + 1}"


def note(monitor: Monitor, run: RunState, values: Mapping[str, float]) -> None:
    """Logs numbers as ``monitor/name``; those that share what stands before the last stroke share a panel of the curves."""
    run.log(**{f"{title(monitor, run)}/{name}": value for name, value in values.items()})
