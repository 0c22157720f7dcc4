"""The fast adaptive boundary attack."""

from collections.abc import Sequence

import attrs
import torch
from attrs.validators import optional
from torch import Tensor

from inradius import AttackBatch, Oracles, UnsupportedError
from inradius.components.validators import as_float, count, positive, share
from inradius.sets.examples import expand
from inradius_minimal.gradients import leads
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.nearest import Nearest
from inradius_minimal.radii import kept_to_constraints
from inradius_minimal.reach import reach
from inradius_minimal.runs import Runs
from inradius_minimal.smallest import Smallest
from inradius_minimal.target_classes import target_classes

Leads = list[tuple[Tensor, Tensor]]

# how many numbers of inputs a step takes at once: what stays near the processor, or what keeps a larger device busy
_AT_ONCE = {"cpu": 1 << 16}
_MANY = 1 << 22


@attrs.frozen(kw_only=True)
class FAB(MinimalAttack):
    """Projects on the nearest linearised boundary, from where it is and from x, and goes to a mean of both points.

    δ ← (1 − α) (δ + η d) + α η d₀ within the hard constraints, where d and d₀ are the steps of the smallest gauge from x + δ
    and from x to the linearised boundary, and α = ‖d‖ / (‖d‖ + ‖d₀‖), at most ``alpha``. Where δ is misclassified, it is drawn back
    to ``beta`` δ. Every step looks at the boundaries of the ``classes`` wrong classes that the model thinks likeliest at x.
    Later ``restarts`` begin at random within half of the best radius known. Examples are done when a gauge of at most
    ``enough`` is found; None: never. Raises ``UnsupportedError`` for sets without convex parts.
    Source: croce2020fab.
    """

    # Croce and Hein 2020 (FAB), sec. 3: 100 steps, α_max = 0.1, η = 1.05, β = 0.9
    steps: int = attrs.field(default=100, validator=count)
    restarts: int = attrs.field(default=1, validator=count)
    # nine classes beside the label, as in AutoAttack
    classes: int = attrs.field(default=9, validator=count)
    alpha: float = attrs.field(default=0.1, validator=share, converter=as_float)
    eta: float = attrs.field(default=1.05, validator=positive, converter=as_float)
    beta: float = attrs.field(default=0.9, validator=share, converter=as_float)
    enough: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)

    def searched(self, threat: Oracles) -> Sequence[Oracles]:
        if not all(part.convex for part in threat.members()):
            raise UnsupportedError(
                f"{self} was given {threat}, which is not convex, so that means of its points leave it; "
                "allowed are convex sets and unions of them"
            )
        return threat.members()

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        groups = self.groups(target_classes(part, torch.zeros_like(start), self.classes))
        step = max(1, _AT_ONCE.get(start.device.type, _MANY) // max(1, len(groups) * start[0].numel()))
        for restart in range(self.restarts):
            for some in torch.split(torch.arange(len(part), device=start.device), step):
                left = some[self._unfinished(part.take(some), found)]
                if len(left):
                    delta = start[left] if restart == 0 else _anywhere(part.take(left), found, restart)
                    self._walk(Runs.of(part.take(left), [aims[left] for aims in groups]), delta, found)

    def groups(self, aims: Tensor) -> Sequence[Tensor]:
        """The classes (n, A) that are looked at together, each group in a run of its own."""
        return (aims,)

    def _unfinished(self, part: AttackBatch, found: Smallest) -> Tensor:
        size = found.size[part.rows]
        done = torch.zeros_like(size, dtype=torch.bool) if self.enough is None else size <= self.enough
        return (~done).nonzero().squeeze(1)

    def _walk(self, runs: Runs, start: Tensor, found: Smallest) -> None:
        delta = start.repeat(len(runs) // max(1, len(start)), *(1,) * (start.ndim - 1))
        fooled = torch.zeros_like(runs.each.rows, dtype=torch.bool)
        for _ in range(self.steps):
            # what the last step misclassified mostly is misclassified again, and needs no gradient before it is drawn back
            known = runs.judge(fooled, delta, found)
            delta = self._drawn_back(delta, known)
            logits, ahead = _ahead(runs.each, delta, runs.aims, found)
            anew = runs.record(delta, logits, found) & ~known
            fooled, left = known | anew, self._unfinished(runs.part, found)
            if not len(left):
                return
            if len(left) < len(runs.part):
                runs, index = runs.keep(left)
                delta, anew, fooled = delta[index], anew[index], fooled[index]
                ahead = [(value[index], gradient[index]) for value, gradient in ahead]
            back = anew.nonzero().squeeze(1)
            if len(back):
                delta = self._drawn_back(delta, anew)
                ahead = _renewed(runs.each.take(back), delta[back], runs.aims[back], ahead, back, found)
            delta = self._mean(runs.each, delta, ahead)
        runs.record(delta, runs.each.model(runs.each.x + delta), found)

    def _drawn_back(self, delta: Tensor, fooled: Tensor) -> Tensor:
        return delta * expand(torch.where(fooled, self.beta, 1.0).to(delta), delta)

    def _mean(self, part: AttackBatch, delta: Tensor, ahead: Leads) -> Tensor:
        """The next point between those of the nearest boundary that are nearest to x + δ and to x, (n, *S)."""
        near, home, distance = _both_ways(part, delta, ahead)
        share = (near.distance / (near.distance + distance)).nan_to_num(nan=self.alpha).clamp(max=self.alpha)
        mean = torch.lerp(torch.add(delta, near.step, alpha=self.eta), self.eta * home, expand(share, delta))
        return kept_to_constraints(part.threat, mean, part.x)


def _both_ways(part: AttackBatch, delta: Tensor, ahead: Leads) -> tuple[Nearest, Tensor, Tensor]:
    """The nearest boundary from x + δ, and from x the step (n, *S) to it with its radius (n,)."""
    if len(ahead) > 1:
        near = Nearest.of(part, delta, ahead)
        return near, *reach(part.threat, near.gradient, _from_home(near.value, near.gradient, delta), part.x)
    # of a single boundary both steps are found at once
    ((value, gradient),) = ahead
    twice = torch.arange(len(part), device=delta.device).repeat(2)
    need = torch.cat([-value, _from_home(value, gradient, delta)])
    normals, points = torch.cat([gradient, gradient]), torch.cat([part.x + delta, part.x])
    steps, radii = reach(part.threat.select(twice), normals, need, points)
    count = len(part)
    return Nearest(steps[:count], radii[:count], value, gradient), steps[count:], radii[count:]


def _from_home(value: Tensor, gradient: Tensor, delta: Tensor) -> Tensor:
    """The gain that a perturbation of x needs to reach the boundary of a lead that has ``value`` at x + δ, (n,)."""
    return (gradient * delta).flatten(1).sum(1) - value


def _ahead(part: AttackBatch, delta: Tensor, aims: Tensor, found: Smallest) -> tuple[Tensor, Leads]:
    """The logits at x + δ, and how far the leads of ``aims`` are past what is misclassified, with gradients."""
    logits, ahead = leads(part, delta, aims)
    return logits, [(found.past(part, value), gradient) for value, gradient in ahead]


def _renewed(part: AttackBatch, delta: Tensor, aims: Tensor, ahead: Leads, rows: Tensor, found: Smallest) -> Leads:
    """The leads with those of ``part``, which stands in ``rows``, taken anew at its ``delta``."""
    _, anew = _ahead(part, delta, aims, found)
    return [
        (value.index_copy(0, rows, other), gradient.index_copy(0, rows, slope))
        for (value, gradient), (other, slope) in zip(ahead, anew, strict=True)
    ]


def _anywhere(part: AttackBatch, found: Smallest, restart: int) -> Tensor:
    """A random start within half of the best radius known, at most half of the set's own, (n, *S)."""
    radius = found.size[part.rows].clamp(max=1) / 2
    return part.threat.per_example(radius).sample(part.x, rng=part.rng.fork(restart))
