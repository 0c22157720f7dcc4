"""Attacks: they look for a perturbation in Δ(x) that changes the prediction."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar, Self, final

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable, check_kind, check_tensor, check_threat, numbered
from inradius.attacks.attack_batch import AttackBatch
from inradius.attacks.checks import check_perturb, check_start, without_infinities
from inradius.attacks.counted_model import CountedModel
from inradius.attacks.objective import CrossEntropy, Objective
from inradius.attacks.observer import Observer, as_observer
from inradius.attacks.verdict import judge
from inradius.components.component import Component
from inradius.components.validators import integer
from inradius.data.checks import check_labels
from inradius.errors import InputError, PluginWarning, UnsupportedError
from inradius.models.modes import BatchNormMode, at_least, frozen
from inradius.models.single_channel_conv import cheap_gradients
from inradius.outcomes.classes import TOP1, is_top1
from inradius.outcomes.outcome import Outcome
from inradius.rng import ExampleRNG
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles

Model = nn.Module | Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class Attacked:
    """The answer of an attack and its judgement, example by example.

    delta (B, *S); success (B,): the prediction at x + δ is wrong (or the goal), by more than rounding, and δ ∈ Δ(x); margin
    (B,): that of the outcome, by default the label's logit minus the largest other one (with a goal: the largest other one minus
    the goal's), < 0 where misclassified; gauge (B,): the share of the radius used; queries (B,): images evaluated for each
    example, forward passes of the search and of its judgement, without those that run a close answer again; inside (B,): δ ∈
    Δ(x); within_rounding (B,): δ ∈ Δ(x), and rounding decides whether the prediction is wrong, as where two logits tie.
    """

    delta: Tensor
    success: Tensor
    margin: Tensor
    gauge: Tensor
    queries: Tensor
    inside: Tensor
    within_rounding: Tensor = attrs.Factory(lambda self: torch.zeros_like(self.success), takes_self=True)


@attrs.frozen(kw_only=True)
class Attack(Component, ABC):
    """A search for a perturbation in Δ(x) that changes the prediction; written once, against the oracles.

    Laws: the answer lies in Δ(x) (a minimal-norm attack may leave it, and then has no success); equal seeds and indices
    give equal answers, whatever the batch.
    An attack that holds attacks says so by ``inner``, and passes ``for_training`` on to them; ``WrappingAttack`` in
    ``inradius.attacks.composite`` does both for one that holds a single attack.
    """

    # True where it returns the smallest gauge it finds, which may be above 1
    minimal: ClassVar[bool] = False
    # True where it asks for logits or labels alone, never for a gradient
    black_box: ClassVar[bool] = False
    # True where it records the operators of ``batch.model.plain``, and so takes no copy that computes the same in less time
    records: ClassVar[bool] = False
    # True where it can aim at the classes of ``batch.goal``
    aims: ClassVar[bool] = False

    seed: int = attrs.field(default=0, validator=integer)

    @abstractmethod
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        """A perturbation per example, (B, *S).

        The model is in eval mode, and its parameters need no gradient. An attack that goes on with a part of the examples
        takes ``batch.take(mask)``. With ``observe`` it shows each iterate of the whole batch by ``observe(step, delta)``.
        """

    def inner(self) -> "tuple[Attack, ...]":
        """The attacks that this one holds, none by default."""
        return ()

    def for_training(self) -> Self:
        """The attack as steps of training use it, by default the attack itself.

        One that leaves an example once it is misclassified goes on there: training wants the largest objective.
        """
        return self

    def maximised(self) -> Objective:
        """The objective that it maximises; by default that of the one attack that it holds, else the cross-entropy."""
        held = self.inner()
        return held[0].maximised() if len(held) == 1 else CrossEntropy()

    def goes_on(self) -> bool:
        """True where it goes on with an example that is misclassified; by default as the one attack does that it holds."""
        held = self.inner()
        return len(held) == 1 and held[0].goes_on()

    @final
    def compares(self) -> bool:
        """True where it, or an attack that it holds, maximises a distance from the clean prediction."""
        return self.maximised().relative or any(one.compares() for one in self.inner())

    @final
    def is_black_box(self) -> bool:
        """True where it asks for no gradient; one that holds attacks is black-box where all of these are."""
        held = self.inner()
        return self.black_box or (bool(held) and all(one.is_black_box() for one in held))

    def takes_means(self) -> bool:
        """True where it asks for means of many passes by itself; by default where all attacks that it holds do."""
        held = self.inner()
        return bool(held) and all(one.takes_means() for one in held)

    @final
    def has_records(self) -> bool:
        """True where it, or an attack that it holds, records the operators of the model."""
        return self.records or any(one.has_records() for one in self.inner())

    @final
    def check_aims(self) -> None:
        """Raises ``UnsupportedError`` where it, or an attack that it holds, cannot aim at a class."""
        if not self.aims:
            raise UnsupportedError(
                f"a goal was given, and {self} cannot aim at a class, as its class does not say aims = True; allowed is no goal"
            )
        for one in self.inner():
            one.check_aims()

    @final
    def answer(self, batch: AttackBatch, *, observe: Observer | None = None) -> tuple[Tensor, Tensor]:
        """Its perturbations and where they are in the set, (n, *S), (n,): for attacks that hold this one.

        An answer that is not finite is 0, and is not inside.
        Raises ``PluginError`` where its perturb takes other parameters than ``perturb`` above.
        """
        check_perturb(self, type(self).perturb)
        # copies, so that what it writes on them is not judged as the given example
        rows = torch.arange(len(batch), device=batch.x.device)
        own = attrs.evolve(batch, x=batch.x.clone(), y=batch.y.clone(), rows=rows)
        found = self.perturb(own, observe=observe).detach()
        with torch.no_grad():
            delta, finite = without_infinities(self, found, batch.x)
            return delta, batch.threat.contains(delta, batch.x) & finite

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        goal: Tensor | None = None,
        start: Tensor | None = None,
        observe: Callable[[int, Tensor], None] | None = None,
        bn_mode: BatchNormMode = "eval",
        targets: Tensor | None = None,
        outcome: Outcome = TOP1,
    ) -> Attacked:
        """Runs the attack on a batch and checks its answer: a success is one again alone, in any batch, and in float64.

        x (B, *S), y (B,) labels; ``index`` (B,) names the examples, so that each keeps its random numbers in any batch
        (default 0 to B−1); ``goal`` (B,) classes to aim at; ``start`` (B, *S) perturbations to start from;
        ``observe(step, delta)`` sees every iterate, a function or an ``Observer``; ``bn_mode`` is what BatchNorm does
        meanwhile; ``targets`` (B, C) are distributions over the classes that the objective takes in place of the labels, such as
        mixed labels. An objective that compares with predictions takes those of the clean inputs by default. ``outcome`` says
        what counts as broken, by default another prediction than the label, and with it what labels and outputs are. With
        another outcome than top-1 there is neither goal nor targets.
        Raises ``InputError`` for inputs, labels or logits that are not what they must be.
        """
        with frozen(model, bn_mode):
            batch = self._batch(model, x, y, threat, outcome, index=index, goal=goal, start=start, targets=targets)
            delta, inside = self._confined(batch, observe)
            with torch.no_grad():
                outputs = batch.model.outputs(batch.x + delta)
                # statistics of the batch are not those of an example alone
                again, labels = bn_mode == "eval", batch.model.own_labels(batch.y)
                options: dict[str, Any] = {"among": inside, "again": again, "outcome": outcome}
                found = judge(model, batch.x, delta, outputs, labels, batch.goal, **options)
                gauge = batch.threat.gauge(delta, batch.x)
        success = found.lost & inside
        return Attacked(delta, success, found.margin, gauge, batch.model.queries, inside, found.unclear)

    @final
    def find(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        goal: Tensor | None = None,
        start: Tensor | None = None,
        observe: Callable[[int, Tensor], None] | None = None,
        bn_mode: BatchNormMode = "eval",
        targets: Tensor | None = None,
    ) -> Tensor:
        """The perturbations of a call alone, (B, *S), with 0 for one that is not in Δ(x).

        That is what training wants, and a forward pass less: the predictions are not judged.
        """
        with frozen(model, bn_mode), nullcontext() if self.has_records() else cheap_gradients(model):
            batch = self._batch(model, x, y, threat, TOP1, index=index, goal=goal, start=start, targets=targets)
            delta, inside = self._confined(batch, observe)
            return torch.where(expand(inside, delta), delta, 0.0)

    def _batch(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        outcome: Outcome,
        *,
        index: Tensor | None,
        goal: Tensor | None,
        start: Tensor | None,
        targets: Tensor | None,
    ) -> AttackBatch:
        """The examples as the attack is given them: checked and copied."""
        check_kind(outcome, Outcome, "outcome")
        y = outcome.check_labels(x, y)
        check_callable(model)
        check_threat(threat)
        threat.check_inputs(x)
        _check_top1(outcome, goal, targets)
        if goal is not None:
            check_labels(x, goal, "goals")
            self.check_aims()
        check_start(x, start)
        where = numbered(index, x).clone()
        # copies, because what came from inference_mode cannot be saved for a gradient; torch gathers with int64 alone
        x, y = x.detach().clone(), y.detach().to(x.device, copy=True)
        goal = None if goal is None else goal.to(x.device, torch.int64, copy=True)
        start = None if start is None else start.detach().to(x, copy=True)
        counted = CountedModel(model, y, goal, outcome=outcome)
        y = y if counted.labels is None else counted.labels
        counted.targets = _targets(self, counted, x, targets)
        rng = ExampleRNG(self.seed, where)
        return AttackBatch(model=counted, x=x, y=y, goal=goal, threat=threat.at(where, x), rng=rng, start=start)

    def _confined(self, batch: AttackBatch, observe: Callable[[int, Tensor], None] | None) -> tuple[Tensor, Tensor]:
        """The answer, and where it is in the set, (B, *S), (B,); warns where an attack should not have left it."""
        delta, inside = self.answer(batch, observe=as_observer(observe))
        if not self.minimal and not bool(inside.all()):
            warnings.warn(
                f"{self} left the set {batch.threat} on {int((~inside).sum())} of {len(delta)} examples; "
                "those answers are rejected (a bug of the attack or of the set)",
                PluginWarning,
                stacklevel=3,
            )
        return delta, inside


def _check_top1(outcome: Outcome, goal: Tensor | None, targets: Tensor | None) -> None:
    for given, name in ((goal, "goals"), (targets, "targets")):
        if given is not None and not is_top1(outcome):
            raise InputError(f"{name} were given with the outcome {outcome}; allowed are {name} with top1 alone")


def _targets(attack: Attack, model: CountedModel, x: Tensor, targets: Tensor | None) -> Tensor | None:
    """The distributions that the objectives take in place of labels, (B, C), or None."""
    if targets is not None:
        check_tensor(targets, "targets")
        if targets.ndim != 2 or len(targets) != len(x) or not targets.is_floating_point():
            raise InputError(
                f"targets have shape {tuple(targets.shape)} and type {targets.dtype}; allowed is a distribution over the "
                f"classes for each input, ({len(x)}, classes)"
            )
        return targets.detach().to(x.device, copy=True)
    if not attack.compares():
        return None
    with torch.no_grad():
        # autocast would round what a prediction is compared with
        return at_least(model(x), x.dtype).softmax(1)
