"""A part of a batch under attack, with all that belongs to it, and its gradient."""

import attrs
import torch
from torch import Tensor

from inradius.attacks.counted_model import CountedModel
from inradius.attacks.objective import Objective, class_margin
from inradius.errors import UnsupportedError
from inradius.rng import ExampleRNG
from inradius.sets.oracles import Oracles


@attrs.frozen(eq=False, kw_only=True)
class Part:
    """Examples under attack; everything is aligned with ``rows``, their places in the whole batch (n,).

    ``goal`` (n,) are the classes that must be predicted, None where any wrong one will do; ``aim`` (n,) are classes whose
    lead over the label's gradients follow for a while, whatever the objective.
    """

    model: CountedModel
    x: Tensor
    y: Tensor
    threat: Oracles
    rng: ExampleRNG
    goal: Tensor | None
    rows: Tensor
    aim: Tensor | None = None

    @classmethod
    def whole(
        cls, model: CountedModel, x: Tensor, y: Tensor, threat: Oracles, rng: ExampleRNG, goal: Tensor | None = None
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
            # copies whole rows, which indexing does number by number
            x=self.x.index_select(0, index) if index.dtype == torch.int64 else self.x[index],
            y=self.y[index],
            threat=self.threat.select(index),
            rng=self.rng.take(index),
            goal=None if self.goal is None else self.goal[index],
            rows=self.rows[index],
            aim=None if self.aim is None else self.aim[index],
        )

    def score(self, delta: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
        """The logits at x + δ and the objective there, (n, *S) -> (n, C), (n,)."""
        logits = self.model(self.x + delta)
        return logits, objective.score(logits, self.y, self.goal, self.model.targets)

    def climbed(self, logits: Tensor, value: Tensor) -> Tensor:
        """What gradients follow: the objective's ``value``, or the lead of the class aimed at, (n, C), (n,) -> (n,)."""
        return value if self.aim is None else logit_difference(logits, self.y, self.aim)

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the prediction is wrong, or the goal where there is one, (n, C) -> (n,)."""
        return class_margin(logits, self.y) <= 0 if self.goal is None else class_margin(logits, self.goal) > 0


def logit_difference(logits: Tensor, y: Tensor, rival: Tensor) -> Tensor:
    """A rival's logit minus the label's, (n, C), (n,), (n,) -> (n,)."""
    return (logits.gather(1, rival[:, None]) - logits.gather(1, y[:, None])).squeeze(1)


def gradient_of(value: Tensor, delta: Tensor, *, keep: bool = False) -> Tensor:
    """The gradient of each example's ``value`` in its ``delta``, coordinates that are not finite as 0, (n,) -> (n, *S).

    ``keep`` the graph where more gradients are taken from it.

    Raises ``UnsupportedError`` where the model's logits do not depend differentiably on its input.
    """
    found = None
    if value.requires_grad:
        (found,) = torch.autograd.grad(value, delta, torch.ones_like(value), retain_graph=keep, allow_unused=True)
    if found is None:
        raise UnsupportedError(
            "the model's logits carry no gradient with respect to the images; "
            "allowed for gradient attacks are models that torch differentiates (no detach, no numpy inside)"
        )
    return found.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
