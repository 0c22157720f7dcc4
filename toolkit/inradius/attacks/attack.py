"""Attacks: they look for a perturbation in Δ(x) that changes the prediction."""

import inspect
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, final

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable, check_tensor, check_threat, numbered
from inradius.attacks.counted_model import CountedModel
from inradius.attacks.objective import Objective
from inradius.attacks.verdict import judge
from inradius.components.component import Component
from inradius.components.validators import integer
from inradius.data.checks import check_labels
from inradius.errors import InputError, PluginWarning, UnsupportedError
from inradius.models.modes import BatchNormMode, at_least, frozen
from inradius.models.single_channel_conv import cheap_gradients
from inradius.rng import ExampleRNG
from inradius.sets.examples import expand
from inradius.sets.oracles import Oracles

Observer = Callable[[int, Tensor], None]


@attrs.frozen(eq=False)
class Attacked:
    """What an attack found, example by example.

    delta (B, *S); success (B,): the prediction at x + δ is wrong (or the goal), by more than rounding, and δ ∈ Δ(x); margin
    (B,): the label's logit minus the largest other one (with a goal: the largest other one minus the goal's), < 0 where
    fooled; gauge (B,): the share of the radius used; queries (B,): images evaluated for each example, forward passes of the
    search and of its judgement, without those that run a close answer again; inside (B,): δ ∈ Δ(x); within_rounding (B,):
    δ ∈ Δ(x), and rounding decides whether the prediction is wrong, as where two logits tie.
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
    """

    minimal: ClassVar[bool] = False
    # whether it asks for logits or labels alone, never for a gradient; of one that holds attacks, its members say
    black_box: ClassVar[bool] = False

    seed: int = attrs.field(default=0, validator=integer)

    @abstractmethod
    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
    ) -> Tensor:
        """A perturbation per example, (B, *S).

        The model is in eval mode, and its parameters need no gradient. An attack that goes on with a part of the batch
        takes that part of ``model``, ``threat`` and ``rng`` alike (``model.take(mask)``, ``threat.select(mask)``,
        ``rng.take(mask)``). An attack that can aim at classes has a further keyword parameter ``goal``.
        """

    @final
    def __call__(
        self,
        model: nn.Module | Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        goal: Tensor | None = None,
        start: Tensor | None = None,
        observe: Observer | None = None,
        bn_mode: BatchNormMode = "eval",
        targets: Tensor | None = None,
    ) -> Attacked:
        """Runs the attack on a batch and checks its answer: a success is one again alone, in any batch, and in float64.

        x (B, *S), y (B,) labels; ``index`` (B,) names the examples, so that each keeps its random numbers in any batch
        (default 0 to B−1); ``goal`` (B,) classes to aim at; ``start`` (B, *S) perturbations to start from;
        ``observe(step, delta)`` sees every iterate; ``bn_mode`` is what BatchNorm does meanwhile; ``targets`` (B, C) are
        distributions over the classes that the objective takes in place of the labels, such as mixed labels. An objective
        that compares with predictions takes those of the clean inputs by default.
        Raises ``InputError`` for inputs, labels or logits that are not what they must be.
        """
        with frozen(model, bn_mode):
            case = self._case(model, x, y, threat, index, goal, targets)
            delta = self._perturbed(case, start, observe)
            with torch.no_grad():
                # statistics of the batch are not those of an example alone
                return self._judge(case, delta, again=bn_mode == "eval")

    @final
    def find(
        self,
        model: nn.Module | Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        *,
        index: Tensor | None = None,
        goal: Tensor | None = None,
        start: Tensor | None = None,
        observe: Observer | None = None,
        bn_mode: BatchNormMode = "eval",
        targets: Tensor | None = None,
    ) -> Tensor:
        """The perturbations of a call alone, (B, *S), with 0 for one that is not in Δ(x).

        That is what training wants, and a forward pass less: the predictions are not judged.
        """
        with frozen(model, bn_mode), cheap_gradients(model):
            case = self._case(model, x, y, threat, index, goal, targets)
            delta = self._perturbed(case, start, observe)
            with torch.no_grad():
                delta, inside = self._confined(case, delta)
                return torch.where(expand(inside, delta), delta, 0.0)

    def _case(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        index: Tensor | None,
        goal: Tensor | None,
        targets: Tensor | None,
    ) -> "_Case":
        """What is attacked, checked and copied."""
        check_labels(x, y)
        check_callable(model)
        check_threat(threat)
        threat.check_inputs(x)
        self._check_goal(x, goal)
        where = numbered(index, x).clone()
        # copies, because what came from inference_mode cannot be saved for a gradient; torch gathers with int64 alone
        x, y = x.detach().clone(), y.to(x.device, torch.int64, copy=True)
        goal = None if goal is None else goal.to(x.device, torch.int64, copy=True)
        subject = CountedModel(model, y, goal)
        subject.targets = _targets(self, subject, x, targets)
        return _Case(model, subject, x, y, goal, threat.at(where, x), where)

    def _perturbed(self, case: "_Case", start: Tensor | None, observe: Observer | None) -> Tensor:
        """The attack's answer as it is, (B, *S)."""
        _check_start(case.x, start)
        start = None if start is None else start.detach().to(case.x, copy=True)
        options = {} if case.goal is None else {"goal": case.goal}
        # the attack has copies of its own, so that what it writes on them is not judged as the given example
        x, y, rng = case.x.clone(), case.y.clone(), ExampleRNG(self.seed, case.index)
        return self.perturb(case.subject, x, y, case.threat, rng, start=start, observe=observe, **options).detach()

    def _check_goal(self, x: Tensor, goal: Tensor | None) -> None:
        if goal is None:
            return
        check_labels(x, goal, "goals")
        if "goal" not in inspect.signature(self.perturb).parameters:
            raise UnsupportedError(
                f"a goal was given, and {self} cannot aim at a class: its perturb has no parameter goal; allowed is none"
            )

    def _confined(self, case: "_Case", delta: Tensor) -> tuple[Tensor, Tensor]:
        """The answer without NaN, and where it is in the set, (B, *S), (B,); warns where an attack should not have left it."""
        delta, finite = finite_answer(self, delta, case.x)
        inside = case.threat.contains(delta, case.x) & finite
        if not self.minimal and not bool(inside.all()):
            warnings.warn(
                f"{self} left the set {case.threat} on {int((~inside).sum())} of {len(delta)} examples; "
                "those answers are rejected (a bug of the attack or of the set)",
                PluginWarning,
                stacklevel=4,
            )
        return delta, inside

    def _judge(self, case: "_Case", delta: Tensor, *, again: bool) -> Attacked:
        delta, inside = self._confined(case, delta)
        logits = case.subject(case.x + delta)
        found = judge(case.model, case.x, delta, logits, case.y, case.goal, among=inside, again=again)
        gauge = case.threat.gauge(delta, case.x)
        success = found.lost & inside
        return Attacked(delta, success, found.margin, gauge, case.subject.queries, inside, found.unclear)


@attrs.frozen(eq=False)
class _Case:
    """A batch under attack: copies of what was given."""

    model: Callable[[Tensor], Tensor]
    subject: CountedModel
    x: Tensor
    y: Tensor
    goal: Tensor | None
    threat: Oracles
    index: Tensor


def _targets(attack: Attack, model: Callable[[Tensor], Tensor], x: Tensor, targets: Tensor | None) -> Tensor | None:
    """The distributions that the objectives take in place of labels, (B, C), or None."""
    if targets is not None:
        check_tensor(targets, "targets")
        if targets.ndim != 2 or len(targets) != len(x) or not targets.is_floating_point():
            raise InputError(
                f"targets have shape {tuple(targets.shape)} and type {targets.dtype}; allowed is a distribution over the "
                f"classes for each input, ({len(x)}, classes)"
            )
        return targets.detach().to(x.device, copy=True)
    if not compares(attack):
        return None
    with torch.no_grad():
        # autocast would round what a prediction is compared with
        return at_least(model(x), x.dtype).softmax(1)


def compares(attack: Attack) -> bool:
    """Whether the attack, or one that it holds, maximises a distance from the clean prediction."""
    return any(part.relative for part in _objectives(attack))


def _objectives(component: Component) -> Iterator[Objective]:
    """The objectives that an attack, and those that it holds, maximise."""
    for field in attrs.fields(type(component)):
        value = getattr(component, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Objective):
                yield item
            elif isinstance(item, Attack):
                yield from _objectives(item)


def finite_answer(attack: Attack, delta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """An attack's answer with 0 for the examples that have NaN or infinite values, and which have none, (B, *S), (B,)."""
    if delta.shape != x.shape:
        raise InputError(f"{attack} returned a perturbation of shape {tuple(delta.shape)}; it must be {tuple(x.shape)}")
    if math.isfinite(float(delta.sum())):
        return delta, torch.ones(len(delta), dtype=torch.bool, device=delta.device)
    finite = torch.isfinite(delta).flatten(1).all(1)
    return torch.where(expand(finite, delta), delta, torch.zeros_like(delta)), finite


def _check_start(x: Tensor, start: Tensor | None) -> None:
    if start is None:
        return
    check_tensor(start, "start")
    if start.shape != x.shape:
        raise InputError(f"start has shape {tuple(start.shape)}; allowed is that of the inputs, {tuple(x.shape)}")
    if not bool(torch.isfinite(start).all()):
        raise InputError("start has NaN or infinite values; allowed are finite perturbations")
