"""The Square attack: random search that changes windows of the input."""

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Margin, Objective, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.components.validators import component, count, positive
from inradius.sets.examples import expand
from inradius_blackbox.square_moves import Proposals, moves_of
from inradius_blackbox.square_windows import share_of


@attrs.frozen(kw_only=True)
class Square(Attack):
    """Maximises the objective by random changes of windows, kept where they help; it asks for scores alone.

    In ℓ∞ it begins with vertical stripes at the ends of what each coordinate may move, and a proposal sets a square window
    to one end, by channel. On images in ℓ2 and ℓ1 it begins with tiles, and a proposal moves the length of one window to
    another. In all other cases a proposal is the point that goes farthest along the perturbation with a window of one sign
    in it, or on a convex set a mean of both. The parts of a union share the queries. Vectors count as one row.
    ``queries`` limits the images that are evaluated for an example, all of them; an example is done when it is fooled. A
    proposal that changes nothing counts as one and is not evaluated.
    Source: andriushchenko2020.
    """

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
    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        whole = Part.whole(model, x, y, threat, rng, goal)
        search = _Search(whole, self, observe)
        # one query is left for the judgement of the answer, and one is for the clean input
        budget = self.queries - 2
        if not len(x) or budget < 0:
            return search.best
        search.look(whole)
        members = len(threat.members())
        for place in range(members):
            search.run(place, budget * (place + 1) // members - budget * place // members, start)
        return search.best


class _Search:
    """Random search on one set after the other; ``best`` is each example's best perturbation so far, (B, *S)."""

    def __init__(self, whole: Part, attack: Square, observe: Observer | None) -> None:
        self._whole, self._attack, self._observe = whole, attack, observe
        self._seen = 0
        self._value: Tensor | None = None
        self._open = torch.ones(len(whole), dtype=torch.bool, device=whole.x.device)
        self.best = torch.zeros_like(whole.x)

    def look(self, part: Part) -> None:
        """Takes note of the clean inputs."""
        self._keep(part, self.best, *self._ask(part, self.best))

    def run(self, place: int, budget: int, start: Tensor | None) -> None:
        """Searches the part of the set at ``place`` with a budget of queries for each example."""
        part = self._whole.take(self._open.nonzero().squeeze(1))
        part = attrs.evolve(part, threat=part.threat.members()[place], rng=part.rng.fork(place))
        if not len(part) or not budget:
            return
        moves = moves_of(part.threat, part.x)
        delta = moves.start(part) if start is None else part.threat.project(start[part.rows], part.x)
        # what is kept is written on it
        delta = delta.clone(memory_format=torch.contiguous_format)
        proposals = Proposals(part, moves, lambda step: share_of(self._attack.p, step / budget))
        value, fooled = self._ask(part, delta)
        for _ in range(budget - 1):
            if bool(fooled.any()):
                self._keep(part, delta, value, fooled)
                alive = (~fooled).nonzero().squeeze(1)
                part, delta, value, fooled = part.take(alive), delta[alive], value[alive], fooled[alive]
                proposals = proposals.take(part, alive)
            if not len(part):
                return
            self._show(part, delta)
            fooled = self._choose(part, delta, value, proposals.next(delta))
        self._keep(part, delta, value, fooled)

    def _ask(self, part: Part, delta: Tensor) -> tuple[Tensor, Tensor]:
        """The objective, and whether an example is fooled, two of (n,)."""
        logits, value = part.score(delta, self._attack.objective)
        if isinstance(self._attack.objective, Margin):
            # the margin tells
            return value, value >= 0 if part.goal is None else value > 0
        return value, part.fooled(logits)

    def _choose(self, part: Part, delta: Tensor, value: Tensor, proposal: Tensor) -> Tensor:
        """Puts proposals that are kept, with their objectives, in the places of ``delta`` and ``value``; which ones fool."""
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

    def _keep(self, part: Part, delta: Tensor, value: Tensor, fooled: Tensor) -> None:
        if self._value is None:
            self._value = value.new_full((len(self._whole),), -torch.inf)
        better = (value > self._value[part.rows]) | fooled
        self._value[part.rows] = torch.where(better, value, self._value[part.rows])
        self.best[part.rows] = torch.where(expand(better, delta), delta, self.best[part.rows])
        self._open[part.rows] &= ~fooled

    def _show(self, part: Part, delta: Tensor) -> None:
        if self._observe is not None:
            shown = self.best.clone()
            shown[part.rows] = delta
            self._observe(self._seen, shown)
            self._seen += 1
