"""Starts for the examples that a search found nothing for: far corners of ever larger sets."""

import torch
from torch import Tensor

from inradius import AttackBatch, Margin, UnsupportedError
from inradius_minimal.boundary import radius_ahead, small_radius
from inradius_minimal.gradients import climb, heading
from inradius_minimal.smallest import Smallest

# radii from the linearised distance of the boundary to 2^12 times that, where mostly the hard constraints alone limit a set
_RADII = 13
# blocks along each axis
_BLOCKS = 4
# random corners that are tried
_DRAWS = 4


def fall_back(part: AttackBatch, found: Smallest, *, gradients: bool = True) -> None:
    """Tries far points of growing sets for every example of ``part``, until it is misclassified, and records them.

    At each radius these are the points farthest along the gradient at the last one, along noise, along random blocks, and along
    the gradient there; without ``gradients`` all are along noise or blocks. Oracles that know no other radius have no such points.
    """
    delta = torch.zeros_like(part.x)
    radius = _first(part, delta, found) if gradients else small_radius(part)
    try:
        part.threat.per_example(radius)
    except UnsupportedError:
        return
    for number in range(4 * _RADII):
        if not len(part):
            return
        ball = part.threat.per_example(radius * 2.0 ** (number // 4))
        delta = ball.linear_max(_along(part, delta, number, gradients), part.x)
        left = (~found.try_out(part, delta)).nonzero().squeeze(1)
        part, delta, radius = part.take(left), delta[left], radius[left]


def far_corner(part: AttackBatch, found: Smallest) -> Tensor:
    """A corner of the box whose sides change from block to block at random, misclassified where a few draws suffice, (n, *S)."""
    low, high = part.threat.room(part.x)
    shape, delta = tuple(part.x.shape[1:]), torch.zeros_like(part.x)
    places = torch.arange(len(part), device=delta.device)
    for number in range(_DRAWS):
        some = part.take(places)
        coarse = some.rng.fork(number).normal(tuple(min(_BLOCKS, length) for length in shape), dtype=delta.dtype)
        corner = torch.where(_blocks(coarse.to(delta.device), shape) > 0, high[places], low[places])
        delta[places] = corner
        places = places[~found.try_out(some, corner)]
        if not len(places):
            break
    return delta


def _first(part: AttackBatch, delta: Tensor, found: Smallest) -> Tensor:
    """The gauge of the linearised boundary at δ, (n,)."""
    _, lead, gradient = climb(part, delta, Margin())
    radius = radius_ahead(part, delta, found.past(part, lead), gradient)
    small = small_radius(part)
    return torch.where((gradient != 0).flatten(1).any(1), torch.minimum(radius, small), small)


def _along(part: AttackBatch, delta: Tensor, number: int, gradients: bool) -> Tensor:
    """The direction of a try, (n, *S): that of the gradient at x + δ, or a random one where it is 0."""
    rng, shape, x = part.rng.fork(number), tuple(part.x.shape[1:]), part.x
    if number % 4 == 1:
        return rng.normal(shape, dtype=x.dtype).to(x.device)
    if number % 4 == 2 or not gradients:
        return _blocks(rng.normal(tuple(min(_BLOCKS, length) for length in shape), dtype=x.dtype).to(x.device), shape)
    _, _, gradient = climb(part, delta, Margin())
    return heading(part, gradient, number)


def _blocks(coarse: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Every number of a coarse grid over a block of its own, (n, *blocks) -> (n, *S)."""
    for axis, (many, length) in enumerate(zip(coarse.shape[1:], shape, strict=True), start=1):
        where = torch.arange(length, device=coarse.device) * many // length
        coarse = coarse.index_select(axis, where)
    return coarse
