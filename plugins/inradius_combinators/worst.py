"""Several attacks on every example."""

import attrs
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Margin, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Series, check_goals, each
from inradius_combinators.members import as_members, members


@attrs.frozen(kw_only=True)
class Worst(Attack):
    """The perturbation of the smallest margin among the answers of all ``members``; every one attacks every example.

    An answer outside of Δ(x) counts as none, also that of a minimal-norm attack; where all members are such attacks, the
    smallest gauge that fools counts instead, as for each of them. δ = 0 is an answer too.
    Source: tramer2019.
    """

    positional = ("*members",)

    members: tuple[Attack, ...] = attrs.field(validator=members, converter=as_members)

    @property
    def minimal(self) -> bool:  # type: ignore[override]
        return all(member.minimal for member in self.members)

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
        check_goals(self, self.members, goal)
        whole = Part.whole(model, x, y, threat, rng, goal)
        series = Series(whole, Margin(), survivors=False, smallest=self.minimal, start=start, observe=observe)
        return series.run(each(self.members))
