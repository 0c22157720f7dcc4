"""A monitor of robust accuracy that falls below its best value."""

import attrs
from attrs.validators import optional
from torch import nn

from inradius import Attack, RunState, ThreatModel
from inradius.components.validators import component, count
from inradius.training.slots import Action, Monitor, Stop
from inradius_training.monitors.monitor_data import check_held_out, held_out_examples, note, pgd, robust_examples


@attrs.frozen(kw_only=True)
class RobustOverfitting(Monitor):
    """Compares the accuracy under ``attack`` on held-out examples with its best so far; logs both, and the gap.

    The attack belongs to the monitor, because a defense may score its checkpoints by an attack to which it has
    overfitted. With ``patience`` the run ends after so many epochs without a new best. ``examples`` is the number of
    examples used, the first ones; None means all. Source: rice2020.
    """

    # Rice et al. 2020, sec. 3: 10 steps of 2/255 of 8/255
    attack: Attack = attrs.field(factory=pgd(10, of="attack of robust_overfitting"), validator=component(Attack))
    patience: int | None = attrs.field(default=None, validator=optional(count))
    examples: int | None = attrs.field(default=None, validator=optional(count))

    def recorded(self, run: RunState) -> None:
        check_held_out(self, run)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        network, examples = run.judged(model), held_out_examples(self.examples, run)
        accuracy = run.mean(robust_examples(self.attack, network, examples, threat, run))
        memory = run.memory(self)
        # a tie goes to the later epoch, as it does for the kept weights
        if accuracy >= memory.get("best", 0.0):
            memory.update(best=accuracy, epoch=run.epoch)
        best, epoch = memory["best"], memory["epoch"]
        note(self, run, {"accuracy": accuracy, "best": best, "gap": best - accuracy})
        if self.patience is None or run.epoch - epoch < self.patience:
            return []
        reason = (
            f"robust overfitting: the accuracy under {self.attack} on held-out examples was {best:.3f} after epoch "
            f"{epoch + 1} and is {accuracy:.3f} after epoch {run.epoch + 1}"
        )
        return [Stop(reason)]
