"""The Square attack: random search that changes windows of the input."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, AttackBatch, Margin, Objective, Observer
from inradius.attacks.best_so_far import BestSoFar
from inradius.components.validators import component, count, positive
from inradius_blackbox.square_moves import Proposals, moves_of
from inradius_blackbox.square_windows import share_of


@attrs.frozen(kw_only=True)
class Square(Attack):
    """Maximises the objective by random changes of windows, kept where they help; it asks for scores alone.

    In ℓ∞ it begins with vertical stripes at the ends of what each coordinate may move, and a proposal sets a square window
    to one end, by channel. On images in ℓ2 and ℓ1 it begins with tiles, and a proposal moves the length of one window to
    another. In all other cases a proposal is the point that goes farthest along the perturbation with a window of one sign
    in it, or on a convex set a mean of both. The parts of a union share the queries. Vectors count as one row.
    ``queries`` limits the images that are evaluated for an example, all of them; an example is done when it is misclassified. A
    proposal that changes nothing counts as one and is not evaluated.
    Source: andriushchenko2020.
    """

    aims: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # both as in the standard AutoAttack (croce2020)
    queries: int = attrs.field(default=5000, validator=count)
    p: float = attrs.field(default=0.8, validator=positive)
    objective: Objective = attrs.field(factory=Margin, validator=component(Objective))

    @p.validator
    def _check_share(self, _: object, value: float) -> None:
        if value > 1:
            raise ValueError(f"p={value!r} is no share of the input; allowed is a number in (0, 1]")

    @torch.no_grad()
    def maximised(self) -> Objective:
        return self.objective

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        search = _Search(batch, self, observe)
        # one query is left for the judgement of the answer, and one is for the clean input
        budget = self.queries - 2
        if not len(batch) or budget < 0:
            return search.found.best
        search.look(batch)
        members = len(batch.threat.members())
        for place in range(members):
            search.run(place, budget * (place + 1) // members - budget * place // members)
        return search.found.best


class _Search:
    """Random search on one set after the other."""

    def __init__(self, whole: AttackBatch, attack: Square, observe: Observer | None) -> None:
        self._attack = attack
        self.found = BestSoFar(whole, observe)

    def look(self, part: AttackBatch) -> None:
        """Takes note of the clean inputs."""
        self.found.record(part, self.found.best, *self._ask(part, self.found.best))

    def run(self, place: int, budget: int) -> None:
        """Searches the part of the set at ``place`` with a budget of queries for each example."""
        part = self.found.survivors()
        part = attrs.evolve(part, threat=part.threat.members()[place], rng=part.rng.fork(place))
        if not len(part) or not budget:
            return
        moves = moves_of(part.threat, part.x)
        first = part.first_point(random=True)
        delta = moves.start(part) if first is None else first
        # what is kept is written on it
        delta = delta.clone(memory_format=torch.contiguous_format)
        proposals = Proposals(part, moves, lambda step: share_of(self._attack.p, step / budget))
        value, fooled = self._ask(part, delta)
        for _ in range(budget - 1):
            if bool(fooled.any()):
                self.found.record(part, delta, value, fooled)
                alive = (~fooled).nonzero().squeeze(1)
                part, delta, value, fooled = part.take(alive), delta[alive], value[alive], fooled[alive]
                proposals = proposals.take(part, alive)
            if not len(part):
                return
            self.found.show(part, delta)
            fooled = self._choose(part, delta, value, proposals.next(delta))
        self.found.record(part, delta, value, fooled)

    def _ask(self, part: AttackBatch, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The objective, and True where an example is misclassified, two of (n,)."""
        logits, value = part.score(delta, self._attack.objective)
        if isinstance(self._attack.objective, Margin):
            # the margin tells
            return value, value >= 0 if part.goal is None else value > 0
        return value, part.misclassified(logits)

    def _choose(self, part: AttackBatch, delta: Tensor, value: Tensor, proposal: Tensor) -> Tensor:
        """Writes proposals that are kept, and their values, on ``delta`` and ``value``; where they are misclassified, (n,)."""
        asked = (proposal - delta).abs_().flatten(1).amax(1).nonzero().squeeze(1)
        fooled = torch.zeros_like(value, dtype=torch.bool)
        if not len(asked):
            return fooled
        found, fools = self._ask(part.take(asked), proposal.index_select(0, asked))
        better = ((found >= value[asked]) | fools).nonzero().squeeze(1)
        if len(better):
            kept = asked[better]
            value[kept], delta[kept] = found[better], proposal[kept].to(delta)
            fooled[kept] = fools[better]
        return fooled
