"""The attack ``bab_attack``: branch and bound as a search for perturbations."""

from typing import ClassVar, cast

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, AttackBatch, Margin, Objective, Observer, Property
from inradius.attacks.ascent import Ascent
from inradius.attacks.best_so_far import BestSoFar
from inradius.attacks.verdict import certain
from inradius.components.validators import as_float, count, positive
from inradius.outcomes.outcome import flat
from inradius_bounds.capture.counted_classifier import CountedClassifier
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound
from inradius_bounds.certifiers.propagation import memory_field

# the margin that is looked for, in rounding errors of the largest logit at x; twice what makes a success certain
_BEYOND = 128


@attrs.frozen(kw_only=True)
class BabAttack(Attack):
    """Looks for a misclassified point by the search of ``branch_and_bound``, which ends with one or with the proof of none.

    First ``steps`` steps of projected ascent on the margin, as those of ``pgd``, from δ = 0 or from the ``start`` of the call.
    Then each example that is left is searched by itself: parts of Δ(x) without a misclassified point are closed by their bounds,
    and each open one proposes points, the minimiser of its bound and a descent from it, or where the network is affine its
    minimum. So it finds what gradients miss. A perturbation of the search is a member of Δ(x) with tolerance 0, and misclassified
    by more than rounding. Where none is found the best iterate of the ascent is returned. With a goal the search is for points
    at which the goal's logit is the largest. Unions are searched member by member, each with limits of its own, until one has
    such a point.

    The search of an example ends after ``seconds`` (None: no limit), or once ``domains`` parts are bounded. It draws no random
    numbers, and depends on the clock where a limit of time ends it: an example that is broken near that limit may not be in
    another run or on another machine. With ``seconds=None, domains=1000`` equal calls give equal answers on one machine.
    ``memory`` is the number of megabytes that bounds may take. Raises ``UnsupportedError`` for models and sets without bounds,
    where an example is left to the search. zhang2022 looks by a beam search from a pool of other attacks' answers; this search is
    that of the certifier. Source: bunel2020, zhang2022.
    """

    records: ClassVar[bool] = True
    aims: ClassVar[bool] = True

    seconds: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(positive), converter=attrs.converters.optional(as_float)
    )
    domains: int | None = attrs.field(default=None, validator=optional(count))
    # those of branch_and_bound's own descent; what they break needs no search
    steps: int = attrs.field(default=20, validator=count)
    memory: float | None = memory_field()

    def maximised(self) -> Objective:
        return Margin()

    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        found = BestSoFar(batch, observe)
        shown = found.shown.of(found.best, batch.rows)
        ascent = Ascent(batch, Margin(), keep_maximising=False, observe=shown)
        climbed = ascent.climb(batch.first_point(random=False), restarts=1, steps=self.steps, move=self._move)
        _enter(found, batch, climbed)
        # one after the other, so that batch mates change neither the rounding of bounds nor the count of queries
        for place in found.open.nonzero():
            part = batch.take(place)
            delta = self._searched(part)
            if delta is not None:
                found.show(part, delta)
                _enter(found, part, delta)
        return found.best

    def _move(self, step: int, gradient: Tensor, delta: Tensor, part: AttackBatch) -> Tensor:
        ascent = part.threat.steepest(gradient, part.x, delta, rng=part.rng)
        # long steps first, as the search's own descent takes them
        return part.threat.project(delta + (0.5 * (1 - step / self.steps) + 0.02) * ascent, part.x)

    def _searched(self, part: AttackBatch) -> Tensor | None:
        """A misclassified member of Δ(x) of one example, (1, *S); None where none is found."""
        network = CountedClassifier(part.model.plain)
        search = BranchAndBound(seconds=self.seconds, domains=self.domains, memory=self.memory)
        asked, found = _asked(part), None
        for member in part.threat.members():
            # the level of exact arithmetic: what rounding decides is no success
            found = search(network, part.x, None, member, prop=asked, claim="real", decide=True).witness
            if found is not None:
                break
        part.model.count(network.tally.images)
        return found


@torch.no_grad()
def _enter(found: BestSoFar, part: AttackBatch, delta: Tensor) -> None:
    """Keeps perturbations (n, *S) where they are better; the examples that are broken beyond rounding are done."""
    logits, value = part.score(delta, Margin())
    found.record(part, delta, value, certain(logits, part.y, part.goal))


@torch.no_grad()
def _asked(part: AttackBatch) -> Property:
    """The property that a perturbation must violate: the margin is above a few rounding errors below 0."""
    outputs = part.model.outputs(part.x)
    slack = _BEYOND * torch.finfo(outputs.dtype).eps * flat(outputs).abs().amax(1).clamp(min=1)
    prop = part.model.as_property(outputs.to(part.x.dtype)) or (
        Property.margins(part.y, outputs.shape[1], dtype=part.x.dtype)
        if part.goal is None
        else Property.targeted(part.goal, outputs.shape[1], dtype=part.x.dtype)
    )
    return attrs.evolve(prop, offsets=prop.offsets + slack[:, None].to(prop.offsets))
