"""What attacks share that see predictions alone: counted questions, and the closest adversarial perturbations."""

import torch
from torch import Tensor

from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.sets.examples import expand
from inradius.sets.lengthen import lengthen

# how many numbers the images of one call may hold
_BLOCK = 1 << 22
# as membership forgives
_FORGIVEN = 1e-5


class Decisions:
    """Asks for predictions, at most ``queries`` for each example with that of the answer's judgement.

    ``best`` (B, *S) has each example's adversarial perturbation of the smallest gauge, 0 where none was found, and
    ``gauge`` (B,) its gauge, infinite there. Only what the model was asked, and gave away, gets there.
    """

    def __init__(self, whole: Part, queries: int, observe: Observer | None = None) -> None:
        self.whole = whole
        self._observe = observe
        self._seen = 0
        # one more is kept for the step past the boundary
        self._spare = int(queries > 2)
        self.left = torch.full_like(whole.rows, queries - 1 - self._spare)
        self.best = torch.zeros_like(whole.x)
        self.gauge = whole.x.new_full((len(whole),), torch.inf)

    @property
    def found(self) -> Tensor:
        """Whether an example has an adversarial perturbation, (B,)."""
        return self.gauge < torch.inf

    def survivors(self, *, least: int = 1) -> Part:
        """The examples that have at least so many queries left and no adversarial perturbation of gauge 0."""
        return self.whole.take(((self.left >= least) & (self.gauge > 0)).nonzero().squeeze(1))

    def ask(self, part: Part, delta: Tensor) -> Tensor:
        """Whether x + δ has the prediction that is looked for, not where no query is left, (n, *S) -> (n,)."""
        fooled = torch.zeros(len(part), dtype=torch.bool, device=delta.device)
        able = (self.left[part.rows] > 0).nonzero().squeeze(1)
        if not len(able):
            return fooled
        some = part if len(able) == len(part) else part.take(able)
        self.left[some.rows] -= 1
        fooled[able] = fools(some, some.model(some.x + delta[able]))
        self._record(part, delta, fooled)
        return fooled

    def ask_many(self, part: Part, deltas: Tensor) -> Tensor:
        """Whether each of several perturbations fools; the examples must have the queries, (n, K, *S) -> (n, K)."""
        self.left[part.rows] -= deltas.shape[1]
        at_once = max(1, _BLOCK // max(1, part.x.numel()))
        return torch.cat([self._several(part, block) for block in torch.split(deltas, at_once, dim=1)], dim=1)

    def _several(self, part: Part, deltas: Tensor) -> Tensor:
        images = (part.x[:, None] + deltas).flatten(0, 1)
        logits = part.model(images).view(*deltas.shape[:2], -1)
        return torch.stack([fools(part, one) for one in logits.unbind(1)], dim=1)

    def _record(self, part: Part, delta: Tensor, fooled: Tensor) -> None:
        hits = fooled.nonzero().squeeze(1)
        if not len(hits):
            return
        rows, found = part.rows[hits], delta[hits]
        gauge = part.threat.select(hits).gauge(found, part.x[hits]).to(self.gauge)
        # hard constraints that do not hold make an answer worthless, however near it is
        kept = part.threat.select(hits).violation(found, part.x[hits]) <= _FORGIVEN
        closer = (gauge < self.gauge[rows]) & kept
        self.gauge[rows] = torch.where(closer, gauge, self.gauge[rows])
        self.best[rows] = torch.where(expand(closer, found), found, self.best[rows])

    def answer(self) -> Tensor:
        """The best perturbations, (B, *S), each a thousandth longer where it fools then as well.

        The last of them was found by halving a distance, so that rounding may decide what the model says there.
        """
        part = self.whole.take((self.found & (self.gauge > 0)).nonzero().squeeze(1))
        if self._spare and len(part):
            longer = lengthen(part.threat, self.best[part.rows], part.x)
            fooled = fools(part, part.model(part.x + longer))
            self.best[part.rows[fooled]] = longer[fooled]
        return self.best

    def show(self) -> None:
        """Shows the best perturbations so far."""
        if self._observe is not None:
            self._observe(self._seen, self.best.clone())
            self._seen += 1


def fools(part: Part, logits: Tensor) -> Tensor:
    """Whether the prediction is wrong, or the goal where there is one, (n, C) -> (n,); it asks for the label alone."""
    predicted = logits.argmax(1)
    return predicted != part.y if part.goal is None else predicted == part.goal
