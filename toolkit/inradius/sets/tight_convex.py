"""Convex sets with an exact support function."""

from abc import ABC

from inradius.sets.oracles import Oracles


class TightConvexOracles(Oracles, ABC):
    """Oracles of a set that is convex at every x, with a ``support`` that is exact up to rounding."""

    @property
    def convex(self) -> bool:
        return True

    @property
    def tight(self) -> bool:
        return True
