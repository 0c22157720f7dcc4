"""Objectives: what an attack maximises."""

from abc import ABC, abstractmethod
from typing import ClassVar, final

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from inradius.components.component import Component
from inradius.components.hookimpl import hookimpl
from inradius.errors import InputError
from inradius.outcomes.margins import class_margin as class_margin
from inradius.outcomes.margins import log_odds_against as log_odds_against


@attrs.frozen(kw_only=True)
class Objective(Component, ABC):
    """A score per example that grows as the prediction gets worse; never reduced over the batch."""

    # whether it compares with distributions, by default those that the model predicts on the clean inputs
    relative: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        """The score, (B, C), (B,) -> (B,); with ``goal`` it grows as the prediction nears the goal's class."""

    def expected(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The score where labels are distributions, (B, C), (B, C) -> (B,): by default its mean over the labels.

        Law: with all the weight on one class it is the score of that class.
        """
        total = torch.zeros_like(logits[:, 0])
        for label in targets.any(0).nonzero().squeeze(1):
            weight = targets[:, label]
            # a score may be infinite where it has no weight
            score = self(logits, label.expand(len(logits)))
            total = total + torch.where(weight > 0, weight * score, torch.zeros_like(score))
        return total

    @final
    def score(self, logits: Tensor, y: Tensor, goal: Tensor | None = None, targets: Tensor | None = None) -> Tensor:
        """The score by the goal, else by the targets (B, C), else by the label, (B,)."""
        return self(logits, y, goal) if targets is None or goal is not None else self.expected(logits, targets)


def logit_difference(logits: Tensor, y: Tensor, other: Tensor) -> Tensor:
    """The logit of another class minus the label's, (n, C), (n,), (n,) -> (n,)."""
    return (logits.gather(1, other[:, None]) - logits.gather(1, y[:, None])).squeeze(1)


@attrs.frozen(kw_only=True)
class CrossEntropy(Objective):
    """The cross-entropy of the label (minus that of the goal).

    It is taken as the softplus of the log-odds against the label. The softmax's gradient, p − 1 at the label, rounds to zero
    where the model is sure (from a gap of 17 in float32 on); this one keeps its relative precision, and its direction.
    Source: madry2018.
    """

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        if goal is None:
            return -F.logsigmoid(-log_odds_against(logits, y))
        return F.logsigmoid(-log_odds_against(logits, goal))

    def expected(self, logits: Tensor, targets: Tensor) -> Tensor:
        """−Σ_c t_c log p_c."""
        return -(targets * F.log_softmax(logits, dim=1)).sum(1)


@attrs.frozen(kw_only=True)
class Margin(Objective):
    """The largest wrong logit minus the label's (the goal's logit minus the largest other); positive means misclassified.

    Source: carlini2017.
    """

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        return -class_margin(logits, y) if goal is None else class_margin(logits, goal)


@attrs.frozen(kw_only=True)
class DLR(Objective):
    """The difference of logits ratio: the margin over a gap of the sorted logits, so that scaling logits changes nothing.

    Untargeted: −(z_y − max_{j≠y} z_j) / (z_(1) − z_(3)). With a goal t: −(z_y − z_t) / (z_(1) − (z_(3) + z_(4)) / 2).
    Both need four classes, counting the untargeted one so that the two agree; below that the margin takes its place.
    Source: croce2020.
    """

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        if logits.shape[1] < 4:
            return Margin()(logits, y, goal)
        top = logits.topk(4, dim=1).values
        # a gap that is only rounding error would make the ratio infinite
        limits = torch.finfo(logits.dtype)
        least = (logits.detach().abs().amax(1) * limits.eps).clamp(min=limits.tiny)
        if goal is None:
            return -class_margin(logits, y) / (top[:, 0] - top[:, 2]).clamp(min=least)
        gap = logits.gather(1, y[:, None]) - logits.gather(1, goal[:, None])
        return -gap.squeeze(1) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2).clamp(min=least)


@attrs.frozen(kw_only=True)
class Targeted(Objective):
    """Another objective aimed at a class: ``goal`` names it for every example, None takes the goals of the attack's call.

    Examples that have the goal as their label are left to the untargeted objective.
    """

    positional = ("objective", "goal")

    objective: Objective = attrs.field(factory=CrossEntropy)
    goal: int | None = None

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        if self.goal is None and goal is None:
            raise InputError(f"{self} has no class to aim at; give targeted(goal=...) or call the attack with goal=")
        if self.goal is not None and not 0 <= self.goal < logits.shape[1]:
            raise InputError(f"goal={self.goal} is not a class; allowed is 0 to {logits.shape[1] - 1}")
        aim = torch.full_like(y, self.goal) if self.goal is not None else goal
        assert aim is not None
        return torch.where(aim == y, self.objective(logits, y), self.objective(logits, y, aim))


@hookimpl
def objectives() -> list[type[Objective]]:
    return [CrossEntropy, Margin, DLR, Targeted]
