"""Threat models: sets of allowed perturbations as components, which a spec names."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self, final

import attrs
from torch import Tensor

from inradius.components.component import Component
from inradius.sets.oracles import Oracles
from inradius.sets.per_example import PerExample


@attrs.frozen(kw_only=True)
class ThreatModel(Component, Oracles, ABC):
    """A set Δ(x) of allowed perturbations around each input x, as a component."""

    # What the command line runs where no attack and no certifier is named; cheap ones first. A set whose projection is
    # costly names others.
    default_attacks: ClassVar[tuple[str, ...]] = ("fgsm", "pgd(steps=40, restarts=2)")
    default_certifiers: ClassVar[tuple[str, ...]] = ("certifier_cascade",)

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """The same set at ``factor`` times the radius."""

    def per_example(self, factors: Tensor) -> PerExample:
        """The same set with a radius of its own for each example, (B,) factors; not a component."""
        return PerExample(self, factors)

    @final
    def select(self, index: Tensor) -> Self:
        return self

    def members(self) -> "tuple[ThreatModel, ...]":
        return (self,)
