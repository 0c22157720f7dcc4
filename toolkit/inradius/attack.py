"""Attacks: they look for a perturbation in Δ(x) that changes the prediction."""

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, final

import attrs
import torch
from torch import Tensor, nn

from inradius._component import Component
from inradius.errors import InputError, PluginWarning, UnsupportedError
from inradius.modes import BatchNormMode, frozen
from inradius.objective import class_margin
from inradius.streams import Streams
from inradius.subject import Subject, check_goal, check_labels
from inradius.threat import Oracles

Observer = Callable[[int, Tensor], None]


@attrs.frozen(eq=False)
class Attacked:
    """What an attack found, example by example.

    delta (B, *S); success (B,): the prediction at x + δ is wrong (or the goal) and δ ∈ Δ(x); margin (B,): the label's
    logit minus the largest other one (with a goal: the largest other one minus the goal's), ≤ 0 where fooled; gauge (B,):
    the share of the radius used; queries (B,): images evaluated, forward passes, for each example; inside (B,): δ ∈ Δ(x).
    """

    delta: Tensor
    success: Tensor
    margin: Tensor
    gauge: Tensor
    queries: Tensor
    inside: Tensor


@attrs.frozen(kw_only=True)
class Attack(Component, ABC):
    """A search for a perturbation in Δ(x) that changes the prediction; written once, against the oracles.

    Laws: the answer lies in Δ(x) (a minimal-norm attack may leave it, and then has no success); equal seeds and indices
    give equal answers, whatever the batch.
    """

    minimal: ClassVar[bool] = False

    seed: int = 0

    @abstractmethod
    def perturb(
        self,
        model: Subject,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: Streams,
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
    ) -> Attacked:
        """Runs the attack on a batch and checks its answer.

        x (B, *S), y (B,) labels; ``index`` (B,) names the examples, so that each keeps its random numbers in any batch
        (default 0 to B−1); ``goal`` (B,) classes to aim at; ``start`` (B, *S) perturbations to start from;
        ``observe(step, delta)`` sees every iterate; ``bn_mode`` is what BatchNorm does meanwhile.
        Raises ``InputError`` for inputs, labels or logits that are not what they must be.
        """
        threat.check_inputs(x)
        check_labels(x, y)
        where = torch.arange(len(x), device=x.device) if index is None else index.to(x.device)
        if where.shape != y.shape:
            raise InputError(
                f"index has shape {tuple(where.shape)}; allowed is one integer per example, {tuple(y.shape)}"
            )
        if start is not None and start.shape != x.shape:
            raise InputError(f"start has shape {tuple(start.shape)}; allowed is that of the inputs, {tuple(x.shape)}")
        options = self._goal_option(goal)
        with frozen(model, bn_mode):
            subject = Subject(model, y)
            if goal is not None:
                check_goal(subject, x, goal)
            rng = Streams(self.seed, where)
            delta = self.perturb(subject, x, y, threat, rng, start=start, observe=observe, **options).detach()
            with torch.no_grad():
                return self._judge(subject, x, y, threat, goal, delta)

    def _goal_option(self, goal: Tensor | None) -> dict[str, Any]:
        if goal is None:
            return {}
        if "goal" not in inspect.signature(self.perturb).parameters:
            raise UnsupportedError(f"{self} cannot aim at a class: its perturb has no parameter goal")
        return {"goal": goal}

    def _judge(
        self, subject: Subject, x: Tensor, y: Tensor, threat: Oracles, goal: Tensor | None, delta: Tensor
    ) -> Attacked:
        if delta.shape != x.shape:
            raise InputError(
                f"{self} returned a perturbation of shape {tuple(delta.shape)}; it must be {tuple(x.shape)}"
            )
        finite = torch.isfinite(delta).flatten(1).all(1)
        delta = torch.where(finite.view(-1, *(1,) * (x.ndim - 1)), delta, torch.zeros_like(delta))
        inside = threat.contains(delta, x) & finite
        if not self.minimal and not bool(inside.all()):
            warnings.warn(
                f"{self} left the set {threat} on {int((~inside).sum())} of {len(x)} examples; "
                "those answers are rejected (a bug of the attack or of the set)",
                PluginWarning,
                stacklevel=3,
            )
        logits = subject(x + delta)
        margin = class_margin(logits, y) if goal is None else -class_margin(logits, goal)
        success = (margin <= 0 if goal is None else margin < 0) & inside
        return Attacked(delta, success, margin, threat.gauge(delta, x), subject.queries, inside)
