"""Random models: how they are found, judged by votes of many passes, and attacked."""

from collections.abc import Callable, Iterable

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.components.registry import make
from inradius.errors import InputError, InradiusError
from inradius.models.memory import shrinking
from inradius.models.modes import evaluating
from inradius.models.outputs import asked, check_logits
from inradius.outcomes.classes import is_top1
from inradius.outcomes.outcome import Outcome, flat

# passes for the answer of a random model; a vote of 100 is that of 200 but where the shares are close
DEFAULT_VOTES = 100
# images on which two passes are compared, and as many perturbed ones
COMPARED = 8
# what a class without votes counts
_PRIOR = 0.5


@attrs.frozen(eq=False)
class Votes:
    """A random classifier as the vote of ``count`` passes: inputs (n, *S) to the logarithms of the classes' shares, (n, C).

    A class that is predicted k times has log((k + ½) / (count + ½ C)), so that the prediction is the class of the most votes,
    and the margin of a label says how clear they are.
    """

    model: Callable[[Tensor], Tensor]
    count: int

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        counts: Tensor | None = None
        for _ in range(self.count):
            logits = asked(self.model, x)
            check_logits(logits, len(x))
            vote = nn.functional.one_hot(logits.argmax(1), logits.shape[1])
            counts = vote if counts is None else counts + vote
        assert counts is not None
        return ((counts + _PRIOR) / (self.count + _PRIOR * counts.shape[1])).log().to(x.dtype)


def differing(one: Tensor, other: Tensor) -> int:
    """The number of rows in which outputs differ by more than the rounding of kernels."""
    one, other = flat(one), flat(other)
    slack = torch.finfo(one.dtype).eps ** 0.5 * one.abs().amax(1, keepdim=True)
    return int(((one - other).abs() > slack).any(1).sum())


@torch.no_grad()
def is_random(model: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """True where two equal calls on the inputs (B, *S) give other outputs; False where the model fails on them."""
    try:
        with evaluating(model):
            one, other = shrinking(lambda count: (asked(model, x[:count]), asked(model, x[:count])), len(x))
    except InradiusError:  # the clean pass has the words for it
        return False
    whole = isinstance(one, Tensor) and one.is_floating_point() and one.ndim > 0 and one.numel() > 0
    return whole and differing(one, other) > 0


def votes_for(model: Callable[[Tensor], Tensor], x: Tensor, asked_for: int | None, outcome: Outcome) -> int:
    """The number of passes that judge a model: 1 where it is deterministic on x (B, *S), else what was asked for, by default 100.

    With another outcome than top-1 it is 1. Raises ``InputError`` where more were asked for with one.
    """
    if not is_top1(outcome):
        if asked_for is not None and asked_for > 1:
            raise InputError(
                f"votes={asked_for} was given with the outcome {outcome}; allowed are votes with top1 alone"
            )
        return 1
    if asked_for == 1 or not is_random(model, x):
        return 1
    return DEFAULT_VOTES if asked_for is None else asked_for


def on_means(attacks: Iterable[Attack]) -> tuple[Attack, ...]:
    """The attacks on the mean of many passes, ``eot(attack)``; those that take means by themselves as they are."""
    return tuple(one if one.takes_means() else make("eot", Attack, attack=one) for one in attacks)
