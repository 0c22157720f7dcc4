"""A monitor of the least robust class."""

import attrs
import torch
from attrs.validators import optional
from torch import nn

from inradius import Attack, RunState, ThreatModel
from inradius.components.validators import component, count
from inradius.training.slots import Action, Monitor
from inradius_training.monitors.monitor_data import check_held_out, held_out_examples, note, pgd, robust_examples


@attrs.frozen(kw_only=True)
class ClassAccuracy(Monitor):
    """Logs the accuracy under ``attack`` of each class on held-out examples: ``worst``, ``mean``, and one number for each class.

    ``worst_class/number`` is the number of the worst class, the first of several. A class without held-out examples has
    no number. ``examples`` is the number of examples used, the first ones; None means all.
    """

    # Rice et al. 2020, sec. 3: 10 steps of 2/255 of 8/255
    attack: Attack = attrs.field(factory=pgd(10, of="attack of class_accuracy"), validator=component(Attack))
    examples: int | None = attrs.field(default=None, validator=optional(count))

    def recorded(self, run: RunState) -> None:
        check_held_out(self, run)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        examples = held_out_examples(self.examples, run)
        right = robust_examples(self.attack, run.judged(model), examples, threat, run)
        counts = torch.zeros(2, run.classes, dtype=torch.float64, device=run.device)
        counts[0].index_add_(0, examples.labels, right.double())
        counts[1].index_add_(0, examples.labels, torch.ones_like(right, dtype=torch.float64))
        robust, held = run.processes.sum(counts).tolist()
        shares = {number: robust[number] / held[number] for number in range(run.classes) if held[number]}
        worst = min(shares, key=shares.__getitem__)
        note(
            self, run, {"worst": shares[worst], "mean": sum(shares.values()) / len(shares), "worst_class/number": worst}
        )
        note(self, run, {str(number): share for number, share in shares.items()})
        return []
