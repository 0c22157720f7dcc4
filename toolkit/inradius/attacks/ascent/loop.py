"""The loop that iterative gradient attacks share: who is still attacked, and the best perturbation of each example."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius.attacks.ascent.part import Part, gradient_of
from inradius.attacks.attack import Observer
from inradius.attacks.objective import Objective
from inradius.sets.examples import expand

# (number of the step, gradient, delta, the examples) -> the next delta; the gradient and both deltas (n, *S)
Move = Callable[[int, Tensor, Tensor, Part], Tensor]


class Ascent:
    """Gradient ascent from one or several starts; ``best`` is each example's best perturbation so far, (B, *S).

    An example that is fooled keeps the perturbation that fooled it and is dropped, unless ``keep_maximising``. Any other
    one keeps the perturbation of the largest objective. One forward pass judges an iterate and gives its gradient.
    """

    def __init__(
        self, whole: Part, objective: Objective, *, keep_maximising: bool, observe: Observer | None = None
    ) -> None:
        self._whole = whole
        self._objective = objective
        self._keep_maximising = keep_maximising
        self._observe = observe
        self._seen = 0
        self._open = torch.ones(len(whole), dtype=torch.bool, device=whole.x.device)
        self._value: Tensor | None = None
        self.best = torch.zeros_like(whole.x)

    @torch.no_grad()
    def climb(self, start: Tensor | None, *, restarts: int, steps: int, move: Move) -> Tensor:
        """The best perturbations after ``restarts`` runs of ``steps`` moves each, (B, *S).

        The first run begins at ``start`` (B, *S), which must lie in the set, or where that is None at a random point, as
        the later runs do. Later runs are for the examples that are still not fooled. The clean inputs count too.
        """
        if start is None or bool(start.any()):
            self._record(self._whole, self.best, *self._whole.score(self.best, self._objective))
        for restart in range(restarts):
            part = self._survivors(restart)
            if not len(part):
                break
            known = start[part.rows] if start is not None and restart == 0 else None
            self._run(part, part.threat.sample(part.x, rng=part.rng) if known is None else known, steps, move)
        return self.best

    @torch.no_grad()
    def pursue(self, start: Tensor, aims: Tensor, *, steps: int, move: Move) -> Tensor:
        """The best perturbations after a run from ``start`` (B, *S) towards each of the classes ``aims`` (B, A), (B, *S).

        Each run follows the lead of one class over the label; the objective still says which iterate is the best.
        """
        for place, aim in enumerate(aims.unbind(1)):
            part = self._survivors(place)
            if not len(part):
                break
            self._run(attrs.evolve(part, aim=aim[part.rows]), start[part.rows], steps, move)
        return self.best

    def _survivors(self, restart: int) -> Part:
        whole = self._whole
        return Part.whole(whole.model, whole.x, whole.y, whole.threat, whole.rng.fork(restart), whole.goal).take(
            self._open.nonzero().squeeze(1)
        )

    def _run(self, part: Part, delta: Tensor, steps: int, move: Move) -> None:
        for step in range(steps):
            self._show(part, delta)
            point = delta.detach().requires_grad_()
            with torch.enable_grad():
                logits, value = part.score(point, self._objective)
            alive = self._record(part, delta, logits.detach(), value.detach())
            if not len(alive):
                return
            with torch.enable_grad():
                climbed = part.climbed(logits, value)
            gradient = gradient_of(climbed, point)
            if len(alive) < len(part):
                part, delta, gradient = part.take(alive), delta[alive], gradient[alive]
            delta = move(step, gradient, delta, part).detach()
        self._show(part, delta)
        self._record(part, delta, *part.score(delta, self._objective))

    def _record(self, part: Part, delta: Tensor, logits: Tensor, value: Tensor) -> Tensor:
        """Keeps what is best; the places in ``part`` of the examples that are still to be attacked."""
        if self._value is None:
            self._value = value.new_full((len(self._whole),), -torch.inf)
        # indexing with every row would copy what is there already
        everyone = len(part) == len(self._whole)
        kept, best = (self._value, self.best) if everyone else (self._value[part.rows], self.best[part.rows])
        better = value > kept
        judged = getattr(self._observe, "judged", None)
        fooled = None if self._keep_maximising and judged is None else part.fooled(logits)
        if fooled is not None and judged is not None:
            judged(part.rows, fooled)
        if fooled is None or self._keep_maximising:
            alive = torch.arange(len(part), device=part.rows.device)
        else:
            better |= fooled
            self._open[part.rows] = ~fooled
            alive = (~fooled).nonzero().squeeze(1)
        value, best = torch.where(better, value, kept), torch.where(expand(better, delta), delta, best)
        if everyone:
            self._value, self.best = value, best
        else:
            self._value[part.rows], self.best[part.rows] = value, best
        return alive

    def _show(self, part: Part, delta: Tensor) -> None:
        if self._observe is not None:
            shown = delta if len(part) == len(self._whole) else self.best.index_copy(0, part.rows, delta)
            self._observe(self._seen, shown)
            self._seen += 1
