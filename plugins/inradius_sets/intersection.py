"""Intersections of convex sets."""

from typing import TYPE_CHECKING, Any, Self

import attrs
from torch import Tensor

from inradius import ThreatModel
from inradius.sets.intersecting.oracles import IntersectionOracles

if TYPE_CHECKING:
    import cvxpy


def _flat(members: object) -> object:
    """The members with those of intersections in their place; anything else as it is, for the validator."""
    if not isinstance(members, tuple | list):
        return members
    inner = ((member.sets if isinstance(member, Intersection) else (member,)) for member in members)
    return tuple(part for parts in inner for part in parts)


def _members(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple) or not value:
        raise ValueError(
            f"{field.name}={value!r} are no sets; allowed are one or more, as in intersection(linf(0.1), l2(1))"
        )
    for member in value:
        if not isinstance(member, ThreatModel):
            raise ValueError(f"{member} is no set; allowed are components of kind ThreatModel")
        if not member.convex:
            raise ValueError(f"{member} is not convex; an intersection allows convex sets alone")


@attrs.frozen(kw_only=True)
class Intersection(IntersectionOracles, ThreatModel):
    """{δ : δ ∈ A(x) and δ ∈ B(x) and ...} of convex sets, each with a radius of its own.

    ``project`` and ``linear_max`` iterate over the members' projections until they agree up to rounding, and answer with a
    member (``contains`` with tolerance 0) wherever one is found near the last iterate, else with a point that satisfies every
    gauge, and hard constraints up to a billionth (float32: a millionth) of its size; a point many thousand times farther
    away than the set is wide may be answered by one that is not the nearest. ``support`` is the
    best split found of the direction among the members, Σ supportᵢ(cᵢ) with Σ cᵢ = c: an upper bound whatever the split, at
    most that of each member. The radius of a scaled intersection is that of every member, so the gauge is the largest of
    theirs. An intersection among the members stands for its own.
    """

    positional = ("*sets",)

    sets: tuple[ThreatModel, ...] = attrs.field(validator=_members, converter=_flat)

    def _joined(self) -> tuple[ThreatModel, ...]:
        return self.sets

    @property
    def convention(self) -> str:
        """The meaning of each member's radius, where its name does not say it."""
        return "; ".join(f"{member}: {member.convention}" for member in self.sets if member.convention)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        return [each for member in self.sets for each in member.constraints(delta, x)]

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, sets=tuple(member.scaled(factor) for member in self.sets))

    def check_inputs(self, x: Tensor) -> None:
        for member in self.sets:
            member.check_inputs(x)
