"""Projection and linear maximisation over an intersection, by the members' projections alone.

min α/2 ‖z − t‖² over z in every member (α = 1), or max ⟨t, z⟩ (α = 0). The Douglas-Rachford iteration has one point s for
each member: z = (t + ρ Σ s) / (α + m ρ) agrees with all of them, δᵢ = Pᵢ(2z − sᵢ) keeps to each, and sᵢ moves by δᵢ − z.
Source: eckstein1992; walker2011 for the extrapolation.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from inradius.sets.oracles import Oracles

# steps that an extrapolation looks back: more gain little, and each costs a copy of the points
_MEMORY = 8


@attrs.frozen(eq=False)
class Split:
    """The state of the iteration.

    points (B, m, *S): one of each member. normals (B, m, *S): outward normals of the members there. rest (B, m, *S): nearly the
    same, with a sum of exactly t − α z.
    reach (B,): the length of the point that the first iteration began with; rho (B, 1): the weight of the members' distances.
    """

    points: Tensor
    normals: Tensor
    rest: Tensor
    reach: Tensor
    rho: Tensor

    def take(self, kept: Tensor) -> "Split":
        """The splits of some examples."""
        return Split(self.points[kept], self.normals[kept], self.rest[kept], self.reach[kept], self.rho[kept])


def solve(
    members: Sequence[Oracles], t: Tensor, x: Tensor, start: Tensor, first: Tensor, alpha: float, steps: int, tol: float
) -> Split:
    """The iteration for targets t (B, *S), from the point ``start`` (B, *S) and the member ``first`` (B,) that holds it back.

    It ends for each example by itself: after ``steps``, or when the members' points agree up to ``tol``.
    """
    flat, z = t.flatten(1), start.flatten(1)
    force = flat - alpha * z
    rest = torch.zeros(len(x), len(members), z.shape[1], dtype=z.dtype, device=z.device)
    rest[torch.arange(len(x), device=x.device), first] = force
    return _iterated(members, t, x, z, rest, _ratio(force, z), alpha, steps, tol)


def resumed(
    members: Sequence[Oracles], t: Tensor, x: Tensor, split: Split, share: Tensor, alpha: float, steps: int, tol: float
) -> Split:
    """The iteration from where another one stood, with ``share`` (B, 1) times its ρ.

    In a step multipliers move by ρ times the distance of the members' points, and the points by force over ρ. Where the points are
    still apart a larger ρ brings them together; where they agree, a smaller one finds coordinates with less force.
    """
    rest = split.rest.flatten(2)
    # rests add up to t − α z
    z = split.points.flatten(2).mean(1) if not alpha else (t.flatten(1) - rest.sum(1)) / alpha
    found = _iterated(members, t, x, z, rest, split.rho * share, alpha, steps, tol)
    return attrs.evolve(found, reach=split.reach)


def agreed(members: Sequence[Oracles], point: Tensor, x: Tensor, steps: int, tol: float) -> Split:
    """The iteration from a point (B, *S) that is nearly in every member, without a target: it goes on until members agree."""
    z = point.flatten(1)
    rest = torch.zeros(len(x), len(members), z.shape[1], dtype=z.dtype, device=z.device)
    return _iterated(members, torch.zeros_like(point), x, z, rest, torch.ones_like(z[:, :1]), 0.0, steps, tol)


def _iterated(
    members: Sequence[Oracles],
    t: Tensor,
    x: Tensor,
    z: Tensor,
    rest: Tensor,
    rho: Tensor,
    alpha: float,
    steps: int,
    tol: float,
) -> Split:
    """The iteration from the point z (B, n) and the members' rests (B, m, n), with ρ (B, 1)."""
    batch, count, size = len(x), len(members), t.shape[1:].numel()
    flat, reach = t.flatten(1), torch.linalg.vector_norm(z, dim=1)
    s = z.unsqueeze(1) - rest / rho.unsqueeze(1)
    points, normals, rest = s.clone(), s.clone(), s.clone()
    active = torch.arange(batch, device=x.device)
    walk = _Walk.begin(s.flatten(1))
    for _ in range(steps):
        here = walk.place.view(len(active), count, size)
        z = (flat[active] + rho[active] * here.sum(1)) / (alpha + count * rho[active])
        asked, around = 2 * z.unsqueeze(1) - here, x[active]
        found = torch.stack(
            [
                m.select(active).project(asked[:, i].view(around.shape), around).flatten(1)
                for i, m in enumerate(members)
            ],
            dim=1,
        )
        residual = (found - z.unsqueeze(1)).flatten(1)
        length = torch.linalg.vector_norm(residual, dim=1)
        # an extrapolation that went astray is not where the iteration stands
        good = length <= walk.length
        pull = rho[active].unsqueeze(1)
        for kept, value in ((points, found), (normals, pull * (asked - found)), (rest, pull * (z.unsqueeze(1) - here))):
            kept[active[good]] = value[good]
        scale = torch.linalg.vector_norm(found, dim=2).amax(1).maximum(reach[active])
        moving = length > tol * scale
        if not bool(moving.any()):
            break
        walk = walk.step(residual)
        if not bool(moving.all()):
            walk, active = walk.take(moving), active[moving]
    shape = (batch, count, *t.shape[1:])
    return Split(points.view(shape), normals.view(shape), rest.view(shape), reach, rho)


def _ratio(force: Tensor, z: Tensor) -> Tensor:
    """Length of force by length of points, the unit of ρ, (B, 1)."""
    above, below = (torch.linalg.vector_norm(v, dim=1, keepdim=True) for v in (force, z))
    return torch.where((above > 0) & (below > 0), above / below, torch.ones_like(above))


@attrs.frozen(eq=False)
class _Walk:
    """A fixed-point iteration s ← s + F(s), extrapolated from its last steps where that shrinks F.

    place (B, N); plain: where the last step without extrapolation led; length (B,) of the last accepted F; moves and
    changes (B, M, N): the last differences of s + F and of F; last: the last s + F and F.
    """

    place: Tensor
    plain: Tensor
    length: Tensor
    moves: Tensor
    changes: Tensor
    last: tuple[Tensor, Tensor] | None

    @classmethod
    def begin(cls, place: Tensor) -> "_Walk":
        nothing = place.new_zeros(len(place), 0, place.shape[1])
        return cls(place, place, torch.full_like(place[:, 0], torch.inf), nothing, nothing, None)

    def step(self, residual: Tensor) -> "_Walk":
        """The next place, for F at this one."""
        length = torch.linalg.vector_norm(residual, dim=1)
        good = length <= self.length
        plain = self.place + residual
        moves, changes = self.moves, self.changes
        if self.last is not None:
            fresh = good.view(-1, 1, 1)
            moves = torch.cat([(plain - self.last[0]).unsqueeze(1), moves[:, : _MEMORY - 1]], 1) * fresh
            changes = torch.cat([(residual - self.last[1]).unsqueeze(1), changes[:, : _MEMORY - 1]], 1) * fresh
        weights = _weights(changes, residual)
        ahead = plain - (weights.unsqueeze(2) * moves).sum(1)
        keep = good.unsqueeze(1)
        # after an extrapolation that did not help: on from the place where the last plain step led
        place = torch.where(keep, ahead, self.plain)
        bound = torch.where(good, length, torch.inf)
        return _Walk(place, torch.where(keep, plain, self.plain), bound, moves, changes, (plain, residual))

    def take(self, kept: Tensor) -> "_Walk":
        """The iterations of some examples."""
        last = None if self.last is None else (self.last[0][kept], self.last[1][kept])
        moves, changes = self.moves[kept], self.changes[kept]
        return _Walk(self.place[kept], self.plain[kept], self.length[kept], moves, changes, last)


def _weights(changes: Tensor, residual: Tensor) -> Tensor:
    """The least-squares combination of changes that makes up the residual, (B, M, N) and (B, N) -> (B, M)."""
    lengths = torch.linalg.vector_norm(changes, dim=2, keepdim=True)
    unit = changes / torch.where(lengths > 0, lengths, 1)
    gram = unit @ unit.mT
    ridge = torch.finfo(gram.dtype).eps ** 0.75 * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    solved = torch.linalg.solve(gram + ridge, unit @ residual.unsqueeze(2))
    weights: Tensor = solved / torch.where(lengths > 0, lengths, torch.inf)
    return weights.squeeze(2)
