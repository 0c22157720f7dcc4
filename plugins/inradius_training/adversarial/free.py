"""Free adversarial training."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Attack, Dataset, Defense, ExampleRNG, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import as_float, component, count, positive
from inradius.rng import derive
from inradius.training.losses import cross_entropy
from inradius_training.adversarial.rolling import Rolling


@attrs.frozen(kw_only=True)
class Free(Defense):
    """min E CE(f(x + δ), y), with each mini-batch replayed ``replays`` times; one backward pass moves the weights and then δ.

    δ ← project(δ + step · steepest(gradient)), while the weights take the gradient at the δ before this step. δ belongs
    to the place in the mini-batch, not to the example. It continues from batch to batch, projected to the set of its
    next example, and from epoch to epoch, and is saved with the run. A shorter batch uses and changes the first rows of
    δ.

    An epoch takes ``replays`` steps for each batch, and the learning rate moves with each step. n epochs cost as much,
    and change the weights as often, as n · replays epochs of standard training. ``judge`` compares checkpoints.
    Source: shafahi2019, Algorithm 6 of the thesis.
    """

    # Shafahi et al. 2019, sec. 4: m = 8 on CIFAR-10, steps of ε
    replays: int = attrs.field(default=8, validator=count)
    step_size: float = attrs.field(default=1.0, validator=positive, converter=as_float)
    # as adversarial training has it: Rice et al. 2020, sec. 3
    judge: Attack = attrs.field(
        factory=default("pgd(steps=10, step=0.25, keep_maximising=True)", Attack, of="judge of free"),
        validator=component(Attack),
    )

    def step(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> None:
        """Makes all replays of one mini-batch."""
        assert run.data is not None
        threat, began = run.scheduled(threat), run.progress
        share = 1 / (run.count(run.data) * run.recipe.epochs * self.replays)
        last = Rolling(run.memory(self))
        delta = threat.project(last.rows(batch.inputs), batch.inputs)
        for replay in range(self.replays):
            run.progress = began + replay * share
            rng = ExampleRNG(derive(run.seed, self.seed, "free", run.epoch, replay), batch.index)
            gradient = self._descend(model, batch, delta, run, first=replay == 0)
            ascent = threat.steepest(gradient, batch.inputs, delta, rng=rng)
            delta = threat.project(delta + self.step_size * ascent, batch.inputs)
        last.keep(delta)

    def _descend(self, model: nn.Module, batch: Dataset, delta: Tensor, run: Run, *, first: bool) -> Tensor:
        """The gradient in δ, (B, *S), after one step of the weights; both come from the same backward pass."""
        point = delta.detach().clone().requires_grad_()
        with run.training_precision():
            logits = model(batch.inputs + point)
        logits = logits.to(delta)
        losses, weights = cross_entropy(logits, batch), run.recipe.sampler.weights(batch.labels, run)
        if first:
            self._observe(logits, batch, run)
        run.descend(losses if weights is None else losses * weights)
        return torch.zeros_like(delta) if point.grad is None else point.grad.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)

    def _observe(self, logits: Tensor, batch: Dataset, run: Run) -> None:
        """Reports the labels and the mistakes of the batch to a sampler that learns from them."""
        if run.recipe.sampler.observes:
            labels, wrong = batch.labels, logits.detach().argmax(1) != batch.labels
            run.recipe.sampler.observe(run.processes.gather(labels), run.processes.gather(wrong), run)

    def score(self, model: nn.Module, batch: Dataset, threat: ThreatModel, run: Run) -> Tensor:
        """True for the examples that are robust against the judging attack, (B,)."""
        return ~self.judge(model, batch.inputs, batch.labels, threat, index=batch.index).success
