"""The loop that iterative gradient attacks share, and the gradient that they follow."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius.attacks.attack_batch import AttackBatch
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.objective import Objective, logit_difference
from inradius.attacks.observer import Observer
from inradius.errors import UnsupportedError

# (number of the step, gradient, delta, the examples) -> the next delta; the gradient and both deltas (n, *S)
Move = Callable[[int, Tensor, Tensor, AttackBatch], Tensor]

# part of the message of torch where a graph was written on
_IN_PLACE = "modified by an inplace operation"


class Ascent:
    """Gradient ascent from one or several starts, which keeps each example's best perturbation so far.

    An example that is misclassified keeps the perturbation that did it and is dropped, unless ``keep_maximising``. Any other
    one keeps the perturbation of the largest objective. One forward pass judges an iterate and gives its gradient.
    """

    def __init__(
        self, whole: AttackBatch, objective: Objective, *, keep_maximising: bool, observe: Observer | None = None
    ) -> None:
        self._objective = objective
        self._keep_maximising = keep_maximising
        self._observe = observe
        self._found = BestSoFar(whole, observe)

    @torch.no_grad()
    def climb(self, start: Tensor | None, *, restarts: int, steps: int, move: Move, uniform: bool = False) -> Tensor:
        """The best perturbations after ``restarts`` runs of ``steps`` moves each, (B, *S).

        The first run begins at ``start`` (B, *S), which must lie in the set, or where that is None at a random point, as
        the later runs do, ``uniform`` or as the set draws it. Later runs are for the examples that
        are not misclassified yet. The clean inputs count too.
        """
        if start is None or bool(start.any()):
            whole, nothing = self._found.whole, self._found.best
            self._record(whole, nothing, *whole.score(nothing, self._objective))
        for restart in range(restarts):
            part = self._survivors(restart)
            if not len(part):
                break
            known = start[part.rows] if start is not None and restart == 0 else None
            self._run(part, part.random_point(uniform=uniform) if known is None else known, steps, move)
        return self._found.best

    @torch.no_grad()
    def pursue(self, start: Tensor, targets: Tensor, *, steps: int, move: Move) -> Tensor:
        """The best perturbations after a run from ``start`` (B, *S) towards each of the classes ``targets`` (B, A), (B, *S).

        Each run follows the lead of one class over the label; the objective still says which iterate is the best.
        """
        for place, target in enumerate(targets.unbind(1)):
            part = self._survivors(place)
            if not len(part):
                break
            self._run(part, start[part.rows], steps, move, target)
        return self._found.best

    def _survivors(self, restart: int) -> AttackBatch:
        part = self._found.survivors()
        return attrs.evolve(part, rng=part.rng.fork(restart))

    def _run(self, part: AttackBatch, delta: Tensor, steps: int, move: Move, target: Tensor | None = None) -> None:
        """One run; with ``target`` (B,), classes of the whole batch, it follows their lead in place of the objective."""
        for step in range(steps):
            self._found.show(part, delta)
            point = delta.detach().requires_grad_()
            with torch.enable_grad():
                logits, value = part.score(point, self._objective)
            alive = self._record(part, delta, logits.detach(), value.detach())
            if not len(alive):
                return
            if target is not None:
                with torch.enable_grad():
                    value = logit_difference(logits, part.y, target[part.rows])
            gradient = gradient_of(value, point)
            if len(alive) < len(part):
                part, delta, gradient = part.take(alive), delta[alive], gradient[alive]
            delta = move(step, gradient, delta, part).detach()
        self._found.show(part, delta)
        self._record(part, delta, *part.score(delta, self._objective))

    def _record(self, part: AttackBatch, delta: Tensor, logits: Tensor, value: Tensor) -> Tensor:
        """Keeps what is best; the places in ``part`` of the examples that are still to be attacked."""
        misclassified = None
        if self._observe is not None or not self._keep_maximising:
            misclassified = part.misclassified(logits)
        if self._observe is not None and misclassified is not None:
            self._observe.judged(part.rows, misclassified)
        done = None if self._keep_maximising else misclassified
        self._found.record(part, delta, value, done)
        if done is None:
            return torch.arange(len(part), device=part.rows.device)
        return (~done).nonzero().squeeze(1)


def gradient_of(value: Tensor, delta: Tensor, *, keep: bool = False) -> Tensor:
    """The gradient of each example's ``value`` (n,) in its ``delta`` (n, *S), (n, *S); 0 at coordinates where it is not finite.

    With ``keep`` the graph stays in memory, so that more gradients can be taken from it.
    Raises ``UnsupportedError`` where the model's logits do not depend differentiably on its input.
    """
    found = None
    if value.requires_grad:
        try:
            (found,) = torch.autograd.grad(value, delta, torch.ones_like(value), retain_graph=keep, allow_unused=True)
        except RuntimeError as error:
            if _IN_PLACE not in str(error):
                raise
            raise UnsupportedError(
                "the model, or the function of an outcome or objective, writes on numbers that its own gradient needs; allowed "
                "for gradient attacks is one without such in-place operations"
            ) from error
    if found is None:
        raise UnsupportedError(
            "the model's logits carry no gradient with respect to the images; "
            "allowed for gradient attacks are models that torch differentiates (no detach, no numpy inside)"
        )
    return found.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
