"""Suites: cascades that choose their attacks by the set."""

from abc import ABC, abstractmethod

import attrs
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Margin, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Series, check_goals, each


@attrs.frozen(kw_only=True)
class Suite(Attack, ABC):
    """A cascade of the attacks that ``cascade`` names for a set, each on the examples that the ones before left."""

    @abstractmethod
    def cascade(self, threat: Oracles) -> tuple[Attack, ...]:
        """The attacks on this set, in the order they run."""

    def perturb(
        self,
        model: CountedModel,
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        rng: ExampleRNG,
        *,
        start: Tensor | None = None,
        observe: Observer | None = None,
        goal: Tensor | None = None,
    ) -> Tensor:
        attacks = self.cascade(threat)
        check_goals(self, attacks, goal)
        whole = Part.whole(model, x, y, threat, rng, goal)
        return Series(whole, Margin(), survivors=True, start=start, observe=observe).run(each(attacks))
