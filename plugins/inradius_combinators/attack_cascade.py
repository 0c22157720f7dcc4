"""One attack after the other, on the examples that are left."""

import attrs
from torch import Tensor

from inradius import Attack, CountedModel, ExampleRNG, Margin, Oracles
from inradius.attacks.ascent import Part
from inradius.attacks.attack import Observer
from inradius.attacks.composite import Series, check_goals, each
from inradius_combinators.members import as_members, members


@attrs.frozen(kw_only=True)
class AttackCascade(Attack):
    """The first answer that fools the model, of ``members`` in the order given; later ones attack what is left.

    List cheap attacks first. An example that nothing fools keeps the answer of the smallest margin. An answer outside of
    Δ(x) counts as none, also that of a minimal-norm attack. An example that is misclassified already is not attacked.
    Source: croce2020.
    """

    positional = ("*members",)

    members: tuple[Attack, ...] = attrs.field(validator=members, converter=as_members)

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
        return Series(whole, Margin(), survivors=True, start=start, observe=observe).run(each(self.members))
