"""Where ``smallest`` begins: short runs of several attacks, towards several classes and from several starts."""

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from inradius import AttackBatch
from inradius.sets.norm import L1, L2, LINF
from inradius_minimal.counting import ends, grain
from inradius_minimal.ddn import DDN
from inradius_minimal.fab import FAB
from inradius_minimal.fallback import far_corner
from inradius_minimal.fmn import FMN
from inradius_minimal.minimal import MinimalAttack
from inradius_minimal.pdpgd import PDPGD
from inradius_minimal.shorten import shorten
from inradius_minimal.sigma_zero import SigmaZero
from inradius_minimal.smallest import Smallest
from inradius_minimal.target_classes import target_classes

# runs towards so many of the likeliest wrong classes
_AIMS = 3
# so near to the middle of the box, where no threshold hides a boundary
_MIDDLE = 0.9
# forward passes that move an answer, or a far corner, back along its ray
_PASSES = 4
_FAR_PASSES = 8


@attrs.frozen(eq=False)
class Beginning:
    """A run of an attack on ``part``, with a goal of its own perhaps; from ``start`` (n, *S), or where None from a far corner."""

    attack: MinimalAttack
    part: AttackBatch
    start: Tensor | None


def begin(part: AttackBatch, start: Tensor, found: Smallest) -> None:
    """Records what the beginnings find for the examples of ``part``, each in a search of its own.

    Where the likeliest class, the first gradient or a linear model misleads, another of them may not be misled. The first falls
    back on far points where it finds nothing.
    """
    for branch, one in enumerate(_beginnings(part, start)):
        own = attrs.evolve(one.part, rng=one.part.rng.fork(branch))
        alone = found.afresh(found.whole)
        first = one.start
        if first is None:
            corner = far_corner(own, alone)
            shorten(alone, _FAR_PASSES, _reached(own, alone))
            known = torch.isfinite(alone.size[own.rows]).view(-1, *(1,) * (corner.ndim - 1))
            first = torch.where(known, alone.delta[own.rows], corner)
        one.attack.seek(own, first, alone)
        if branch == 0:
            one.attack.seek_again(own, alone)
        shorten(alone, _PASSES, _reached(own, alone))
        found.merge(alone)


def _reached(part: AttackBatch, found: Smallest) -> Tensor:
    """The rows of ``part`` that something is found for."""
    return part.rows[torch.isfinite(found.size[part.rows])]


def _beginnings(part: AttackBatch, start: Tensor) -> Iterator[Beginning]:
    if bool((grain(part) > 0).all()):
        yield Beginning(SigmaZero(steps=200), part, start)
        yield Beginning(FMN(), part, start)
        yield from _from_middle(part, *ends(part))
    elif part.threat.measure in (LINF, L2, L1):
        yield from _of_norms(part, start)
    else:
        if not part.threat.slow_projection:
            yield Beginning(DDN(steps=50), part, start)
        if part.threat.convex:
            yield Beginning(FAB(steps=20, classes=3), part, start)


def _of_norms(part: AttackBatch, start: Tensor) -> Iterator[Beginning]:
    yield Beginning(PDPGD(steps=50, step=4.0), part, start)
    if part.goal is None:
        for goal in target_classes(part, torch.zeros_like(part.x), _AIMS).unbind(1):
            yield Beginning(FMN(steps=25), attrs.evolve(part, goal=goal), start)
    low, high = part.threat.room(part.x)
    bounded = bool((low.isfinite() & high.isfinite()).all())
    far = None if bounded else start
    yield Beginning(DDN(steps=50), part, far)
    yield Beginning(FAB(steps=20, classes=3), part, far)
    yield from _from_middle(part, low, high)


def _from_middle(part: AttackBatch, low: Tensor, high: Tensor) -> Iterator[Beginning]:
    middle = _MIDDLE * (low + high) / 2
    if bool(middle.isfinite().all()):
        yield Beginning(FMN(steps=50), part, middle)
