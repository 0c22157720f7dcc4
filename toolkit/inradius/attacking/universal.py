"""Universal perturbations: one for all inputs."""

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable, check_kind, check_threat, told
from inradius.attacking.given import as_inputs, as_labels
from inradius.attacks.ascent import gradient_of
from inradius.attacks.attack import Attack, Attacked
from inradius.attacks.attack_batch import AttackBatch
from inradius.attacks.counted_model import CountedModel
from inradius.attacks.objective import Margin
from inradius.attacks.observer import Observer
from inradius.components.registry import make
from inradius.errors import InputError, UnsupportedError
from inradius.models.modes import frozen
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.rng import ExampleRNG
from inradius.sets.oracles import Oracles

# the size of the first step, as a share of the radius; steps shrink to none
_STEP = 0.2
# projections onto the sets of all inputs in turn
_ROUNDS = 20
# after these 0 is left
_HALVINGS = 20

Model = nn.Module | Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class Universal:
    """One perturbation for all inputs, and what it does.

    delta (*S); found: each input's ``Attacked`` at its own perturbation, which is ``delta``, or with ``clipped`` its projection
    onto Δ(x); fooled: the share of the inputs that are right without a perturbation and broken with it, of all that are right;
    held_out, held_out_fooled: the same for inputs that had no part in the search, None where none were given.
    """

    delta: Tensor
    found: Attacked
    fooled: float
    held_out: Attacked | None = None
    held_out_fooled: float | None = None


@attrs.frozen(kw_only=True)
class _Given(Attack):
    """The perturbations that the search begins with, unchanged."""

    # what lies outside counts as no success, and needs no warning
    minimal: ClassVar[bool] = True

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        return torch.zeros_like(batch.x) if batch.start is None else batch.start


def universal(
    model: Model,
    x: Any,
    y: Any,
    threat: Oracles | str,
    *,
    held_out: tuple[Any, Any] | None = None,
    clipped: bool = False,
    steps: int = 100,
    batch_size: int = 128,
    seed: int = 0,
    outcome: Outcome | str = TOP1,
) -> Universal:
    """One δ (*S) that breaks as many inputs as it can, and its judgement on them and on ``held_out`` inputs and labels.

    δ lies in Δ(x) of every input x (B, *S), which are numbered from 0, and held-out inputs after them. Where inputs reach the ends
    of their box that leaves little; with ``clipped`` each input takes the projection of δ onto its own Δ(x) instead, as in the
    literature, which for a ball clips x + δ to the box. The mean gradient of the margin of the inputs that are not broken yet is
    followed for ``steps`` steps, each on a batch. It is no ``Attack``, because those answer for each input alone. Raises
    ``UnsupportedError`` for sets that are not convex.
    Source: moosavi2017.
    """
    the_set = make(threat, Oracles) if isinstance(threat, str) else threat
    asked = make(outcome, Outcome) if isinstance(outcome, str) else outcome
    check_callable(model)
    check_threat(the_set)
    check_kind(asked, Outcome, "outcome")
    for name, value, least in (("steps", steps, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name}={value!r} is not allowed; allowed is an integer ≥ {least}")
    if not the_set.convex or len(the_set.members()) > 1:
        raise UnsupportedError(f"universal was given {the_set}; allowed are convex sets, such as linf(eps=0.1)")
    inputs, labels = _examples(model, x, y, the_set, asked)
    other = None if held_out is None else _held_out(model, held_out, inputs, the_set, asked)
    with frozen(model), torch.no_grad():
        search = _Search(model, inputs, labels, the_set, asked, clipped)
        delta = search.run(steps, batch_size, seed)
    index = torch.arange(len(inputs), device=inputs.device)
    found, fooled = _judged(model, inputs, labels, index, the_set, asked, delta, clipped)
    if other is None:
        return Universal(delta, found, fooled)
    return Universal(delta, found, fooled, *_judged(model, *other, the_set, asked, delta, clipped))


def _examples(model: Model, x: Any, y: Any, threat: Oracles, outcome: Outcome) -> tuple[Tensor, Tensor]:
    """The inputs and labels as tensors, checked; at least one."""
    inputs = as_inputs(x, model)
    labels = outcome.check_labels(inputs, as_labels(y, inputs.device))
    threat.check_inputs(inputs)
    if not len(inputs):
        raise InputError("no inputs were given; at least one is needed")
    return inputs.detach(), labels


def _held_out(
    model: Model, given: Any, inputs: Tensor, threat: Oracles, outcome: Outcome
) -> tuple[Tensor, Tensor, Tensor]:
    """The held-out inputs and labels, checked, and their numbers, which come after those of the search."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InputError(f"held_out is {told(given)}; allowed is a pair of inputs and labels")
    x, y = _examples(model, given[0], given[1], threat, outcome)
    if x.shape[1:] != inputs.shape[1:] or x.dtype != inputs.dtype:
        raise InputError(
            f"the held-out inputs have shape {tuple(x.shape[1:])} and type {x.dtype}; allowed are those of the search, "
            f"{tuple(inputs.shape[1:])} and {inputs.dtype}"
        )
    return x, y, len(inputs) + torch.arange(len(x), device=x.device)


@attrs.frozen(eq=False)
class _Search:
    model: Model
    x: Tensor
    y: Tensor
    threat: Oracles
    outcome: Outcome
    clipped: bool

    def run(self, steps: int, size: int, seed: int) -> Tensor:
        """The perturbation after the last step, (*S)."""
        delta = torch.zeros_like(self.x[0])
        order: list[Tensor] = []
        for step in range(steps):
            if not order:
                draw = ExampleRNG(seed, torch.arange(len(self.x), device=self.x.device)).fork(step).uniform()
                order = list(torch.split(draw.argsort(), size))
            delta = self._stepped(delta, order.pop(), _STEP * (1 - step / steps))
        return delta if self.clipped else self._common(delta)

    def _stepped(self, delta: Tensor, rows: Tensor, size: float) -> Tensor:
        """The perturbation after a step on the inputs in ``rows``."""
        x, threat = self.x[rows], self.threat.at(rows, self.x[rows])
        own = delta.expand_as(x)
        point = (threat.project(own, x) if self.clipped else own).detach().requires_grad_()
        counted = CountedModel(self.model, self.y[rows], outcome=self.outcome)
        labels = self.y[rows] if counted.labels is None else counted.labels
        batch = AttackBatch(model=counted, x=x, y=labels, threat=threat, rng=ExampleRNG(0, rows))
        with torch.enable_grad():
            logits, value = batch.score(point, Margin())
            gradient = gradient_of(value, point)
        gradient = gradient[~batch.misclassified(logits.detach())]
        if not len(gradient):
            return delta
        mean = gradient.mean(0).expand_as(x)
        moved = (own + size * threat.steepest(mean, x, own)).mean(0)
        if self.clipped:
            return threat.project(moved.expand_as(x), x).mean(0)
        low, high = self._room()
        return threat.project(moved.clamp(low, high).expand_as(x), x).mean(0)

    def _common(self, delta: Tensor) -> Tensor:
        """A perturbation near δ (*S) in Δ(x) of every input: projections in turn, then the share of δ that is a member of all."""
        threat, (low, high) = self._all(), self._room()
        for _ in range(_ROUNDS):
            delta = delta.clamp(low, high)
            if self._shared(delta):
                return delta
            delta = threat.project(delta.expand_as(self.x), self.x).mean(0)
        delta = delta.clamp(low, high)
        for _ in range(_HALVINGS):
            if self._shared(delta):
                return delta
            delta = delta / 2
        return torch.zeros_like(delta)

    def _shared(self, delta: Tensor) -> bool:
        """True where δ (*S) lies in Δ(x) of every input."""
        return bool(self._all().contains(delta.expand_as(self.x), self.x).all())

    def _all(self) -> Oracles:
        """The sets of all inputs."""
        return self.threat.at(torch.arange(len(self.x), device=self.x.device), self.x)

    def _room(self) -> tuple[Tensor, Tensor]:
        """The room that all inputs leave, (*S) below and above."""
        low, high = (side.expand_as(self.x) for side in self._all().room(self.x))
        return low.amax(0), high.amin(0)


def _judged(
    model: Model,
    x: Tensor,
    y: Tensor,
    index: Tensor,
    threat: Oracles,
    outcome: Outcome,
    delta: Tensor,
    clipped: bool,
) -> tuple[Attacked, float]:
    """The judgement on inputs with these numbers, and the share of the right ones that δ breaks."""
    own = delta.to(x.device).expand_as(x)
    options: dict[str, Any] = {"outcome": outcome, "index": index}
    start = threat.at(index, x).project(own, x) if clipped else own
    found = _Given()(model, x, y, threat, start=start, **options)
    right = _Given()(model, x, y, threat, **options).margin > 0
    return found, float((found.success & right).sum() / right.sum().clamp(min=1))
