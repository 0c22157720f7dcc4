"""A part for each slot of a training run, as a stranger might write it."""

import attrs
import torch
from torch import nn

import inradius
from inradius.training.losses import cross_entropy
from inradius.training.slots import (
    Direction,
    Monitor,
    Regularizer,
    RollBack,
    Sampler,
    Schedule,
    Set,
    Stop,
    Transform,
    Update,
)

component = attrs.frozen(kw_only=True)


@component
class Plain(inradius.Defense):
    """Cross-entropy, with logits that samplers and regularizers see too."""

    copies: int = 1

    def loss(self, model, batch, threat, run):
        losses = cross_entropy(run.look(batch).clean(model), batch)
        return losses if self.copies == 1 else losses.expand(self.copies, -1)


@component
class Mixed(Transform):
    """Half of the label goes to everybody."""

    def __call__(self, batch, rng, classes):
        inputs = (batch.inputs + 0.1 * rng.uniform(batch.inputs.shape[1:], dtype=batch.inputs.dtype)).clamp(0, 1)
        hard = nn.functional.one_hot(batch.labels, classes).float()
        return attrs.evolve(batch, inputs=inputs, targets=0.5 * hard + 0.5 / classes)


@component
class Mistaken(Sampler):
    """Batches of the class with the most mistakes so far."""

    observes = True

    def rows(self, data, run):
        memory = run.memory(self)
        for _ in range(run.count(data)):
            counts = memory.setdefault("mistakes", torch.zeros(2))
            rows = (data.labels == int(counts.argmax())).nonzero().squeeze(1)
            yield rows[:10]
            memory["seen"] = memory.get("seen", 0) + 1

    def observe(self, labels, mistakes, run):
        counts = run.memory(self)["mistakes"]
        counts.index_add_(0, labels, 0.1 + mistakes.to(counts.dtype))


@component
class Size(Regularizer):
    """The squared norm of the weights."""

    def penalty(self, model, views, threat, run):
        return sum(p.square().sum() for p in model.parameters())


@component
class Scale(Regularizer):
    """The squared logits of each example."""

    def penalty(self, model, views, threat, run):
        return views.clean(model).square().sum(1)


@component
class Doubling(Schedule):
    """A controller: twice the weight each time, from 2⁻⁵ on."""

    def __call__(self, progress):
        return 0.0

    def weigh(self, value, progress, memory):
        memory["weight"] = 2 * memory.get("weight", 2.0**-6)
        return min(memory["weight"], 1.0)


@component
class Half(Schedule):
    """1/2 in the first half of the run, then 1."""

    def __call__(self, progress):
        return 0.5 if progress < 0.5 else 1.0


@component
class First(Direction):
    """The gradient of the first perturbation."""

    def __call__(self, losses, parameters, run):
        losses[0].sum().backward()
        run.processes.sum_gradients(parameters)


@component
class Twice(Update):
    """The gradient at weights a step away; what it moved is put back."""

    rho: float = 0.1

    def __call__(self, descent):
        descent.gradient()
        moves = [self.rho * p.grad for p in descent.parameters]
        self.move(descent.parameters, moves, 1)
        try:
            descent.gradient()
        finally:
            self.move(descent.parameters, moves, -1)
        descent.step()

    @torch.no_grad()
    def move(self, parameters, moves, sign):
        for parameter, change in zip(parameters, moves, strict=True):
            parameter.add_(change, alpha=sign)


@component
class Ahead(Update):
    """Moves along the sum of a batch's gradient and its successor's."""

    lookahead = True

    def __call__(self, descent):
        descent.gradient()
        now = [p.grad.clone() for p in descent.parameters]
        if descent.ahead is not None:
            descent.gradient(ahead=True)
            for parameter, gradient in zip(descent.parameters, now, strict=True):
                parameter.grad.add_(gradient)
        memory = descent.run.memory(self)
        memory["last"] = [p.grad.clone() for p in descent.parameters]
        memory["ends"] = memory.get("ends", 0) + (descent.ahead is None)
        descent.step()


@component
class Watch(Monitor):
    """Asks for its action after an epoch, and counts them."""

    after: int = 1
    action: str = "none"

    def after_epoch(self, model, threat, run):
        memory = run.memory(self)
        memory["epochs"] = memory.get("epochs", 0) + 1
        run.log(watched=float(memory["epochs"]))
        actions = {
            "stop": Stop("enough"),
            "end": RollBack("too far"),
            "back": RollBack("too far", go_on=True),
            "lr": Set("lr", 0.5, "slower"),
            "radius": Set("radius", 0.5, "nearer"),
        }
        return [actions[self.action]] if run.epoch == self.after and self.action in actions else []


def same(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
