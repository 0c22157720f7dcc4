"""A small copy of a set around one of its points."""

from torch import Tensor

from inradius import AffineOperator, ExampleRNG, Oracles
from inradius.sets.derived import DerivedOracles


class Shrunk(DerivedOracles):
    """(1 − λ) · point + λ · Δ(x), a part of a convex set; for any other set, a part of its convex hull.

    ``point`` (B, *S) lies in Δ(x), and 0 < λ ≤ 1. The oracles are those of the set, shifted and scaled.
    """

    def __init__(self, threat: Oracles, point: Tensor, share: float) -> None:
        self.threat, self.point, self.share = threat, point, share
        self._shift = (1 - share) * point

    def __str__(self) -> str:
        return f"a part of {self.threat}"

    def _small(self, delta: Tensor) -> Tensor:
        return self._shift + self.share * delta

    def _whole(self, delta: Tensor) -> Tensor:
        return (delta - self._shift) / self.share

    def _pairing(self, c: Tensor) -> Tensor:
        return (c.flatten(2) @ self._shift.flatten(1)[..., None]).squeeze(2)

    def project(self, delta: Tensor, x: Tensor) -> Tensor:
        return self._small(self.threat.project(self._whole(delta), x))

    def linear_max(self, c: Tensor, x: Tensor) -> Tensor:
        return self._small(self.threat.linear_max(c, x))

    def gauge(self, delta: Tensor, x: Tensor) -> Tensor:
        return self.threat.gauge(self._whole(delta), x)

    def violation(self, delta: Tensor, x: Tensor) -> Tensor:
        return self.threat.violation(self._whole(delta), x)

    def sample(self, x: Tensor, *, rng: ExampleRNG | None = None) -> Tensor:
        return self._small(self.threat.sample(x, rng=rng))

    def support(self, c: Tensor, x: Tensor) -> Tensor:
        return self._pairing(c) + self.share * self.threat.support(c, x)

    def support_bound(self, c: Tensor, x: Tensor) -> Tensor:
        return self._pairing(c) + self.share * self.threat.support_bound(c, x)

    def span(self, c: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.threat.span(c, x)
        return self._pairing(c) + self.share * low, self._pairing(c) + self.share * high

    def bound_affine(self, op: AffineOperator, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self.threat.bound_affine(op, x)
        center, moved = op(x), op(x + self._shift)
        return moved + self.share * (lower - center), moved + self.share * (upper - center)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.threat.hull(x)
        return self._small(low), self._small(high)

    def sketch(self, x: Tensor) -> tuple[Tensor, Tensor, float] | None:
        found = self.threat.sketch(x)
        return None if found is None else (self._small(found[0]), self.share * found[1], found[2])

    def select(self, index: Tensor) -> "Shrunk":
        """The set for the examples in ``index``, with their points."""
        return Shrunk(self.threat.select(index), self.point[index], self.share)

    def members(self) -> tuple[Oracles, ...]:
        members = self.threat.members()
        return (self,) if len(members) == 1 else tuple(Shrunk(part, self.point, self.share) for part in members)
