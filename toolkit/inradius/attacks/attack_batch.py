"""The examples that an attack is given, or goes on with, and all that belongs to them."""

from typing import Literal, Self, overload

import attrs
import torch
from torch import Tensor

from inradius.attacks.counted_model import CountedModel
from inradius.attacks.objective import Objective, class_margin
from inradius.rng import ExampleRNG
from inradius.sets.oracles import Oracles


@attrs.frozen(eq=False, kw_only=True)
class AttackBatch:
    """Examples under attack; everything is aligned with ``rows`` (n,), their places in the batch that the attack was given.

    ``model`` gives logits (n, C) and counts queries. ``x`` (n, *S) are the inputs, ``y`` (n,) their labels. With another outcome
    than top-1 there are two classes, right (0) and broken (1), and every label is 0. ``goal`` (n,) are the
    classes that must be predicted, None where any wrong one will do. ``threat`` is the set, ``rng`` has a stream of random
    numbers for each example, and ``start`` (n, *S) are the perturbations to start from, None where the attack chooses.
    """

    model: CountedModel
    x: Tensor
    y: Tensor
    threat: Oracles
    rng: ExampleRNG
    goal: Tensor | None = None
    start: Tensor | None = None
    rows: Tensor = attrs.field(
        default=attrs.Factory(lambda self: torch.arange(len(self.x), device=self.x.device), takes_self=True)
    )

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: Tensor) -> Self:
        """The examples in ``mask``: boolean (n,), or their places in this batch."""
        return attrs.evolve(
            self,
            model=self.model.take(mask),
            # copies whole rows, which indexing does number by number
            x=self.x.index_select(0, mask) if mask.dtype == torch.int64 else self.x[mask],
            y=self.y[mask],
            threat=self.threat.select(mask),
            rng=self.rng.take(mask),
            goal=None if self.goal is None else self.goal[mask],
            start=None if self.start is None else self.start[mask],
            rows=self.rows[mask],
        )

    @overload
    def first_point(self, *, random: Literal[False]) -> Tensor: ...
    @overload
    def first_point(self, *, random: bool) -> Tensor | None: ...
    def first_point(self, *, random: bool) -> Tensor | None:
        """The first perturbation, (n, *S): ``start``, projected, or 0; None where the attack is to draw a random one."""
        if self.start is not None:
            return self.threat.project(self.start, self.x)
        return None if random else torch.zeros_like(self.x)

    def random_point(self, *, uniform: bool = False) -> Tensor:
        """A random point of Δ(x) as the set draws it, or drawn uniformly where the set knows how, (n, *S)."""
        draw = self.threat.uniform if uniform else self.threat.sample
        return draw(self.x, rng=self.rng)

    def score(self, delta: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
        """The logits at x + δ and the objective there, (n, *S) -> (n, C), (n,)."""
        logits = self.model(self.x + delta)
        return logits, objective.score(logits, self.y, self.goal, self.model.targets)

    def misclassified(self, logits: Tensor) -> Tensor:
        """True where the prediction is wrong, or with goals where it is the goal, (n, C) -> (n,)."""
        return class_margin(logits, self.y) <= 0 if self.goal is None else class_margin(logits, self.goal) > 0
