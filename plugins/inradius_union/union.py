"""Unions of sets as components, and the same with a radius for each example."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from inradius import Oracles, PerExample, ThreatModel, UnsupportedError
from inradius.sets.arithmetic.sides import common
from inradius.sets.box import Box
from inradius_union.oracles import UnionOracles

if TYPE_CHECKING:
    import cvxpy


def _flat(members: object) -> object:
    """The members with those of unions in their place; anything else as it is, for the validator."""
    if not isinstance(members, tuple | list) or not all(isinstance(member, ThreatModel) for member in members):
        return members
    return tuple(part for member in members for part in member.members())


def _members(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, tuple | list):
        raise ValueError(
            f"{field.name}={value!r} are no sets; allowed is one set or several, as in union(linf(eps=0.1))"
        )
    if not value:
        raise ValueError("a union of no sets has no points; allowed is one set or several")
    for member in value:
        if not isinstance(member, ThreatModel):
            raise ValueError(f"{member} is no set; allowed are components of kind ThreatModel")


@attrs.frozen(kw_only=True)
class Union(UnionOracles, ThreatModel):
    """{δ : δ ∈ A(x) or δ ∈ B(x) or ...}: every perturbation that one of the sets allows, each with a radius of its own.

    ``project`` goes to the nearest member and ``linear_max`` to the best one, so that attacks run unchanged; ``support`` is the
    largest of the members', which is that of the convex hull: one certificate of the hull covers them all, one for each
    part is tighter. The radius of a scaled union is that of every member. A union among the members stands for its own.
    Source: maini2020.
    """

    positional = ("*sets",)
    # the members' own attacks, each on its part
    default_attacks: ClassVar[tuple[str, ...]] = ("fgsm", "msd(steps=50, restarts=2)")

    sets: tuple[ThreatModel, ...] = attrs.field(validator=_members, converter=_flat)

    def members(self) -> tuple[ThreatModel, ...]:
        return self.sets

    @property
    def bounds(self) -> Box:
        """The box that inputs of every member lie in; None where no member has one."""
        return common(member.bounds for member in self.sets)

    def scaled(self, factor: float) -> Self:
        return attrs.evolve(self, sets=tuple(member.scaled(factor) for member in self.sets))

    def per_example(self, factors: Tensor) -> "UnionPerExample":
        return UnionPerExample(self, factors, tuple(member.per_example(factors) for member in self.sets))

    def at(self, index: Tensor, x: Tensor) -> Oracles:
        members = tuple(member.at(index, x) for member in self.sets)
        same = all(own is member for own, member in zip(members, self.sets, strict=True))
        return self if same else UnionPerExample(self, torch.ones(len(index)), members)

    def constraints(self, delta: "cvxpy.Variable", x: Tensor) -> "list[cvxpy.Constraint]":
        if len(self.sets) > 1:
            raise UnsupportedError(f"{self} is not convex, so cvxpy cannot describe it; ask each part by itself")
        return self.sets[0].constraints(delta, x)


class UnionPerExample(UnionOracles, PerExample):
    """A union with a radius factor for each example, the same for all members; all examples at once."""

    def __init__(self, union: Union, factors: Tensor, members: tuple[Oracles, ...]) -> None:
        super().__init__(union, factors)
        self._union, self._members = union, members

    def members(self) -> tuple[Oracles, ...]:
        return self._members

    def per_example(self, factors: Tensor) -> "UnionPerExample":
        members = tuple(member.per_example(factors) for member in self._members)
        return UnionPerExample(self._union, self.multiplied(factors), members)

    def select(self, index: Tensor) -> "UnionPerExample":
        return UnionPerExample(
            self._union, self.factors[index], tuple(member.select(index) for member in self._members)
        )

    def at(self, index: Tensor, x: Tensor) -> "UnionPerExample":
        return UnionPerExample(self._union, self.factors, tuple(member.at(index, x) for member in self._members))
