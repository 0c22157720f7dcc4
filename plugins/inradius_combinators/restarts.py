"""The same attack several times."""

import attrs
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Round, Series, check_goals, keeps_maximising, objective_of
from inradius.components.validators import component, count


@attrs.frozen(kw_only=True)
class Restarts(Attack):
    """The worst of ``n`` runs of an attack, each with random numbers of its own; later runs are for the examples that are left.

    An example that is fooled keeps that answer; if the attack itself has ``keep_maximising``, every run is made and the
    largest of its objective counts. Only the first run begins at the ``start`` of the call. A minimal-norm attack runs ``n``
    times on every example, and the smallest gauge counts. An attack that draws nothing at random only repeats itself.
    Source: madry2018.
    """

    positional = ("attack", "n")

    attack: Attack = attrs.field(validator=component(Attack))
    # Croce and Hein 2020: the restarts of the "plus" version
    n: int = attrs.field(default=5, validator=count)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return self.attack.minimal

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
        series = Series(
            Part.whole(model, x, y, threat, rng, goal),
            objective_of(self.attack),
            survivors=not (self.minimal or keeps_maximising(self.attack)),
            smallest=self.minimal,
            start=start,
            observe=observe,
        )
        return series.run(Round(attack=self.attack, branch=run, begins=run == 0) for run in range(self.n))
