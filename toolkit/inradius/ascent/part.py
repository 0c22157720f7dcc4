"""A part of a batch under attack, with all that belongs to it, and its gradient."""

import attrs
import torch
from torch import Tensor

from inradius.errors import UnsupportedError
from inradius.objective import Objective, class_margin
from inradius.streams import Streams
from inradius.subject import Subject
from inradius.threat import Oracles


@attrs.frozen(eq=False, kw_only=True)
class Part:
    """Examples under attack; everything is aligned with ``rows``, their places in the whole batch (n,)."""

    model: Subject
    x: Tensor
    y: Tensor
    threat: Oracles
    rng: Streams
    goal: Tensor | None
    rows: Tensor

    @classmethod
    def whole(
        cls, model: Subject, x: Tensor, y: Tensor, threat: Oracles, rng: Streams, goal: Tensor | None = None
    ) -> "Part":
        """The whole batch."""
        rows = torch.arange(len(x), device=x.device)
        return cls(model=model, x=x, y=y, threat=threat, rng=rng, goal=goal, rows=rows)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor) -> "Part":
        """The examples in ``index``, places in this part."""
        return Part(
            model=self.model.take(index),
            x=self.x[index],
            y=self.y[index],
            threat=self.threat.select(index),
            rng=self.rng.take(index),
            goal=None if self.goal is None else self.goal[index],
            rows=self.rows[index],
        )

    def score(self, delta: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
        """The logits at x + δ and the objective there, (n, *S) -> (n, C), (n,)."""
        logits = self.model(self.x + delta)
        return logits, objective(logits, self.y, self.goal)

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the prediction is wrong, or the goal where there is one, (n, C) -> (n,)."""
        return class_margin(logits, self.y) <= 0 if self.goal is None else class_margin(logits, self.goal) > 0


def gradient_of(value: Tensor, delta: Tensor) -> Tensor:
    """The gradient of each example's ``value`` in its ``delta``, coordinates that are not finite as 0, (n,) -> (n, *S).

    Raises ``UnsupportedError`` where the model's logits do not depend differentiably on its input.
    """
    found = None
    if value.requires_grad:
        (found,) = torch.autograd.grad(value, delta, torch.ones_like(value), allow_unused=True)
    if found is None:
        raise UnsupportedError(
            "the model's logits carry no gradient with respect to the images; "
            "allowed for gradient attacks are models that torch differentiates (no detach, no numpy inside)"
        )
    return found.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
