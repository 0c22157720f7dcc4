"""The worst of independent attacks on the parts of a union."""

import attrs
from attrs.validators import optional
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Objective, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Round, Series, check_goals, keeps_maximising, objective_of
from inradius.components.validators import component, flag


@attrs.frozen(kw_only=True)
class WorstPart(Attack):
    """The worst perturbation of each example among the answers of one attack, run on every part of a union by itself.

    An example that is fooled on one part is not attacked on the next ones, and keeps that answer; with
    ``keep_maximising`` every part is attacked and the largest objective counts alone. Both ``keep_maximising`` and
    ``objective`` are the attack's own where they are None (False and the cross-entropy for an attack that has none).
    An answer outside of its part counts as none. Training on it is "MAX" in the literature.
    Source: tramer2019.
    """

    positional = ("attack",)

    attack: Attack = attrs.field(validator=component(Attack))
    objective: Objective | None = attrs.field(default=None, validator=optional(component(Objective)))
    keep_maximising: bool | None = attrs.field(default=None, validator=optional(flag))

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
        check_goals(self, (self.attack,), goal)
        whole = Part.whole(model, x, y, threat, rng, goal)
        keep = keeps_maximising(self.attack) if self.keep_maximising is None else self.keep_maximising
        objective = self.objective or objective_of(self.attack)
        series = Series(whole, objective, survivors=not keep, clean=False, start=start, observe=observe)
        places = range(len(threat.members()))
        return series.run(Round(attack=self.attack, branch=place, place=place) for place in places)
