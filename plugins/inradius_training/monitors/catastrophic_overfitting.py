"""A monitor of networks that become robust to a single attack only."""

import attrs
from torch import nn

from inradius import Attack, RunState, ThreatModel
from inradius.components.default import default
from inradius.components.validators import as_float, component, count, flag, share
from inradius.training.slots import Action, Monitor, RollBack
from inradius_training.monitors.monitor_data import note, pgd, robust_examples, training_examples


@attrs.frozen(kw_only=True)
class CatastrophicOverfitting(Monitor):
    """Rolls an epoch back where the accuracy under ``attack`` fell by more than ``drop`` on a fixed training batch.

    The batch is clean and the network in eval mode, so that two epochs differ by their weights alone. The monitor logs
    the accuracy under ``attack``, the accuracy under ``fast``, and the second minus the first. Training against a
    single step makes this gap grow first. The run ends after a rollback; with ``go_on`` it continues from the weights
    of the epoch before. Source: wong2020fast.
    """

    # Wong et al. 2020, released code: 5 steps of 2/255 of 8/255, once, after each epoch
    attack: Attack = attrs.field(factory=pgd(5, of="attack of catastrophic_overfitting"), validator=component(Attack))
    fast: Attack = attrs.field(
        factory=default("fgsm()", Attack, of="fast attack of catastrophic_overfitting"), validator=component(Attack)
    )
    # Wong et al. 2020, released code: a fall by more than 0.2 on one mini-batch, of 128 there
    drop: float = attrs.field(default=0.2, validator=share, converter=as_float)
    examples: int = attrs.field(default=128, validator=count)
    go_on: bool = attrs.field(default=False, validator=flag)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        batch = training_examples(self, self.examples, run)
        robust, fast = (run.mean(robust_examples(one, model, batch, threat, run)) for one in (self.attack, self.fast))
        note(self, run, {"accuracy": robust, "fast_accuracy": fast, "gap": fast - robust})
        memory = run.memory(self)
        before: float | None = memory.get("accuracy")
        memory["accuracy"] = robust
        # rounding of the shares must not make a fall by exactly the drop count
        if before is None or before - robust <= self.drop + 1e-9:
            return []
        reason = (
            f"catastrophic overfitting in epoch {run.epoch + 1}: the accuracy under {self.attack} fell from {before:.3f} to "
            f"{robust:.3f} on {self.examples} training examples; the accuracy under {self.fast} is {fast:.3f}"
        )
        return [RollBack(reason, go_on=self.go_on)]
