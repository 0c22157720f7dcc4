"""A monitor of the terms that TRADES and FAIT weigh against accuracy."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Attack, RunState, ThreatModel
from inradius.components.validators import component, count
from inradius.models.modes import evaluating
from inradius.training.losses import entropy, kl_divergence
from inradius.training.slots import Action, Monitor
from inradius.training.trace import Trace
from inradius_training.distance.compared import climber
from inradius_training.monitors.monitor_data import note, training_examples


@attrs.frozen(kw_only=True)
class RobustnessLoss(Monitor):
    """Logs R = KL(p(x) ‖ p(x')), R' = KL(p(x) ‖ p(x*)) + KL(p(x*) ‖ p(x')), and the entropies of p(x) and p(x').

    x' is the attack's answer, and x* its iterate number ``iterate``. The numbers are means over ``examples`` training examples,
    the same in every epoch, in eval mode. Source: wu2022, figure 4.
    """

    attack: Attack = attrs.field(factory=climber("kl()", of="attack of robustness_loss"), validator=component(Attack))
    # Wu et al. 2022, sec. 5.1
    iterate: int = attrs.field(default=2, validator=count)
    examples: int = attrs.field(default=1000, validator=count)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        network, found = run.judged(model), dict[str, list[Tensor]]()
        for batch in training_examples(self, self.examples, run).batches(run.recipe.batch_size):
            seen = Trace((self.iterate,), len(batch))
            answer = self.attack(network, batch.inputs, batch.labels, threat, index=batch.index, observe=seen).delta
            with evaluating(network), torch.no_grad():
                middle = seen.iterates.get(self.iterate, answer)
                clean, between, attacked = (network(batch.inputs + delta) for delta in (0.0, middle, answer))
            separated = kl_divergence(between, of=clean) + kl_divergence(attacked, of=between)
            numbers = {
                "R": kl_divergence(attacked, of=clean),
                "R_separated": separated,
                "entropy_clean": entropy(clean),
                "entropy_attacked": entropy(attacked),
            }
            for name, values in numbers.items():
                found.setdefault(name, []).append(values)
        note(self, run, {name: run.mean(torch.cat(parts)) for name, parts in found.items()})
        return []
