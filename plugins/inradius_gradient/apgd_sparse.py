"""APGD's steps for the ℓ1 ball ∩ box: they change few coordinates, as many as the best perturbation suggests.

Source: croce2021.
"""

from typing import Self

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.examples import expand
from inradius_gradient.apgd_climb import Climb

# Croce and Hein 2021, sec. 3.3: the share of coordinates that the first steps change, how many more the best
# perturbation has than a step changes, and what counts as fewer than before
_FIRST_SHARE = 0.2
_FEWER = 1.5
_SHRUNK = 0.95
# likewise: the step is at most the radius, at least a tenth of it, and shrinks by 1.5 at checkpoints 4 % apart
_LARGEST = 1.0
_SMALLEST = 0.1
_DECAY = 1.5
_CHECKPOINTS = 25


@attrs.define(eq=False, kw_only=True)
class Sparse(Climb):
    """The next δ is project(δ + size · sparse steepest(gradient)); count (n,) coordinates change.

    changed (n,): how many coordinates the best iterate had changed at the last checkpoint.
    """

    every: int
    count: Tensor
    changed: Tensor

    @classmethod
    def start(cls, steps: int, part: AttackBatch, delta: Tensor, *, cold: bool) -> Self:
        """A run from ``delta``, whose sparsity says nothing where it is ``cold``: drawn at random."""
        size = delta.new_full((len(part),), _LARGEST)
        total = size * delta[0].numel()
        changed = total if cold else _changed(delta)
        return cls.begin(
            steps,
            part,
            delta,
            size=size,
            every=max(1, steps // _CHECKPOINTS),
            count=_count(_FIRST_SHARE * total if cold else changed / _FEWER),
            changed=changed,
        )

    def move(self) -> Tensor:
        part = self.part
        step = part.threat.sparse_steepest(self.gradient, part.x, self.delta, self.count)
        return part.threat.project(torch.addcmul(self.delta, expand(self.size, step), step), part.x)

    def check(self, step: int, before: Tensor) -> None:
        if step == 0 or step % self.every:
            return
        changed = _changed(self.best_delta)
        shrunk = changed < _SHRUNK * self.changed
        self.size = torch.where(shrunk, _LARGEST, (self.size / _DECAY).clamp(min=_SMALLEST))
        self.go_back(shrunk)
        self.count, self.changed = _count(changed / _FEWER), changed


def _changed(delta: Tensor) -> Tensor:
    """The number of coordinates of each perturbation that are not 0, (n, *S) -> (n,)."""
    return (delta != 0).flatten(1).sum(1).to(delta.dtype)


def _count(share: Tensor) -> Tensor:
    """A whole number of coordinates, at least one."""
    return share.floor().clamp(min=1).to(torch.int64)
