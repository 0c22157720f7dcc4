"""The elastic-net attack."""

from collections.abc import Sequence

import attrs
import torch
from attrs.validators import in_, optional
from torch import Tensor

from inradius import AttackBatch, Margin, Oracles
from inradius.components.validators import as_float, count, flag, positive, radius
from inradius.sets.box import room
from inradius.sets.examples import expand
from inradius.sets.norm import L1
from inradius_minimal.gradients import climb
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.patience import Patience
from inradius_minimal.radii import parts_measured_in
from inradius_minimal.smallest import Smallest
from inradius_minimal.tradeoff import balance


@attrs.frozen(kw_only=True)
class EAD(MinimalAttack):
    """Minimises beta · ‖δ‖₁ + ‖δ‖₂² − c · min(lead, 0) by soft thresholding, with a c that is searched for each example.

    A step goes down the gradient of the smooth part, shrinks every coordinate by ``beta`` and clips to the box; with
    ``momentum`` (FISTA) gradients are taken ahead of the iterate, which costs a second forward pass. Of what is misclassified the
    smallest ℓ1 length wins (``rule="l1"``), or the smallest beta · ‖δ‖₁ + ‖δ‖₂² (``rule="en"``). The constant is searched
    as by ``cw``. Runs on ℓ1 balls and the ℓ1 parts of a union.
    Source: chen2018.
    """

    # Chen et al. 2018, sec. 5, but for the steps, 1000 there, and beta, 0.001 there: ten times that is a third shorter in ℓ1
    searches: int = attrs.field(default=9, validator=count)
    steps: int = attrs.field(default=100, validator=count)
    rate: float = attrs.field(default=0.01, validator=positive, converter=as_float)
    beta: float = attrs.field(default=0.01, validator=radius, converter=as_float)
    constant: float | None = attrs.field(default=None, validator=optional(positive), converter=as_float)
    rule: str = attrs.field(default="l1", validator=in_(("l1", "en")))
    momentum: bool = attrs.field(default=True, validator=flag)
    abort_early: bool = attrs.field(default=True, validator=flag)

    def searched(self, threat: Oracles) -> Sequence[Oracles]:
        return parts_measured_in(L1, threat, self, "ddn, fmn and fab")

    def measure(self, part: AttackBatch, delta: Tensor) -> Tensor:
        return part.threat.gauge(delta, part.x) if self.rule == "l1" else self._net(delta)

    def seek(self, part: AttackBatch, start: Tensor, found: Smallest) -> None:
        tradeoff = balance(part, start, self.constant)
        for _ in range(self.searches):
            tradeoff.learn(self._descend(part, start, tradeoff.value, found))

    def _net(self, delta: Tensor) -> Tensor:
        flat = delta.flatten(1)
        return self.beta * flat.abs().sum(1) + flat.square().sum(1)

    def _descend(self, part: AttackBatch, start: Tensor, constant: Tensor, found: Smallest) -> Tensor:
        """One search from ``start`` (n, *S) with constants (n,); True where it is misclassified, (n,)."""
        ever, place = torch.zeros_like(constant, dtype=torch.bool), torch.arange(len(part), device=part.x.device)
        delta = ahead = start
        patience = Patience(self.steps, constant)
        for step in range(self.steps):
            logits, lead, gradient = climb(part, ahead, Margin())
            if not self.momentum:
                ever[place] |= found.record(part, ahead, logits)
            loss = self._net(ahead) - constant * lead.clamp(max=0)
            downhill = 2 * ahead - expand(constant * (lead < 0), ahead) * gradient
            # Chen et al.'s code: the rate falls with the root of what is left
            moved = self._shrunk(part, ahead - self.rate * (1 - step / self.steps) ** 0.5 * downhill)
            if self.momentum:
                ever[place] |= found.try_out(part, moved)
            ahead = moved + step / (step + 3) * (moved - delta) if self.momentum else moved
            left = patience.going(step, loss).nonzero().squeeze(1)
            if self.abort_early and len(left) < len(part):
                part, place, constant = part.take(left), place[left], constant[left]
                moved, ahead = moved[left], ahead[left]
                patience.take(left)
                if not len(part):
                    return ever
            delta = moved
        if not self.momentum:
            ever[place] |= found.try_out(part, delta)
        return ever

    def _shrunk(self, part: AttackBatch, moved: Tensor) -> Tensor:
        """The coordinates of ``moved`` (n, *S) nearer to 0 by ``beta``, and within the box."""
        low, high = room(part.x, part.threat.bounds)
        return torch.clamp((moved.abs() - self.beta).clamp(min=0).copysign(moved), low, high)
