"""A monitor of accuracies under attack, also on data that the run does not touch."""

from functools import lru_cache

import attrs
import torch
from attrs.validators import deep_iterable, optional
from torch import nn

import inradius
from inradius import Attack, Dataset, RunState, ThreatModel
from inradius.components.validators import component, count
from inradius.models.modes import evaluating
from inradius.training.slots import Action, Monitor
from inradius_training.monitors.monitor_data import check_held_out, held_out_examples, note, robust_examples


@attrs.frozen(kw_only=True)
class UnderAttack(Monitor):
    """Logs the clean accuracy, and the accuracy under each of ``attacks``, after each epoch.

    The examples are those held out, or those of ``data``, a spec, which may be test data: the monitor asks for nothing, and its
    numbers choose no checkpoint. Where several attacks have a name, their numbers are told apart by it and a number.
    ``examples`` is the number of examples used, the first ones; None means all.
    """

    positional = ("*attacks",)

    attacks: tuple[Attack, ...] = attrs.field(
        default=(), validator=deep_iterable(component(Attack), attrs.validators.instance_of(tuple))
    )
    data: str | None = attrs.field(default=None, validator=optional(attrs.validators.instance_of(str)))
    examples: int | None = attrs.field(default=None, validator=optional(count))

    def recorded(self, run: RunState) -> None:
        if self.data is None:
            check_held_out(self, run)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        network = run.judged(model)
        examples = held_out_examples(self.examples, run) if self.data is None else self._own(run)
        with evaluating(network), torch.no_grad():
            batches = examples.batches(run.recipe.batch_size)
            right = [network(batch.inputs).argmax(1) == batch.labels for batch in batches]
        note(self, run, {"clean": run.mean(torch.cat(right))})
        for name, attack in zip(self._names(), self.attacks, strict=True):
            note(self, run, {name: run.mean(robust_examples(attack, network, examples, threat, run))})
        return []

    def _own(self, run: RunState) -> Dataset:
        """This process's part of the monitor's data."""
        data = _loaded(str(self.data))
        rows = torch.arange(len(data))[: self.examples]
        return data.select(run.processes.shard(rows)).to(run.device)

    def _names(self) -> list[str]:
        named = [attack.spec_name() for attack in self.attacks]
        return [
            name if named.count(name) == 1 else f"{name}_{named[: place + 1].count(name)}"
            for place, name in enumerate(named)
        ]


@lru_cache(maxsize=2)
def _loaded(spec: str) -> Dataset:
    """The data of a spec, which every epoch asks for."""
    return inradius.make(spec, Dataset)
