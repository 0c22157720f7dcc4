"""A monitor of the change of the gradient within the set."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import ExampleRNG, RunState, ThreatModel
from inradius.components.validators import count
from inradius.models.modes import frozen
from inradius.training.slots import Action, Monitor
from inradius_training.monitors.monitor_data import note, training_examples


@attrs.frozen(kw_only=True)
class GradientMisalignment(Monitor):
    """Logs E cos(∇ CE(f(x), y), ∇ CE(f(x + u), y)), gradients in the input, with random u in Δ(x), on fixed training examples.

    The cosine is 1 for a loss that is linear within the set, where one step finds the maximum. It falls before
    catastrophic overfitting. Examples with a gradient of zero have no cosine; ``vanished`` is their share. The network
    is in eval mode, and u is the same in every epoch. Source: andriushchenko2020fast.
    """

    examples: int = attrs.field(default=128, validator=count)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        examples = training_examples(self, self.examples, run)
        cosines = [torch.zeros(0, dtype=torch.float64, device=run.device)]
        with frozen(model):
            for batch in examples.batches(run.recipe.batch_size):
                u = threat.sample(batch.inputs, rng=ExampleRNG(run.seed, batch.index))
                pair = (_gradient(model, x, batch.labels) for x in (batch.inputs, batch.inputs + u))
                cosines.append(_cosine(*pair))
        found = torch.cat(cosines)
        defined = found.isfinite()
        counts = run.processes.sum(torch.stack([found[defined].sum(), defined.sum(), found.new_tensor(len(found))]))
        total, some, every = counts.tolist()
        note(self, run, {"vanished": 1 - some / every} | ({"cosine": total / some} if some else {}))
        return []


def _gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each example's cross-entropy in its input, (B, *S)."""
    point = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(point), y, reduction="sum"), point)
    return gradient


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosine of each pair, NaN where one vector is 0, (B, *S), (B, *S) -> (B,)."""
    a, b = (side.flatten(1).double() for side in (a, b))
    return (F.normalize(a, eps=0.0) * F.normalize(b, eps=0.0)).sum(1)
