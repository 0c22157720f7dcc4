"""The suite of this toolkit: what AutoAttack finds, for less, on any set."""

from typing import ClassVar

import attrs

from inradius import Attack, Oracles, make
from inradius.validators import count
from inradius_combinators.suite import Suite, name_of


@attrs.frozen(kw_only=True)
class InradiusSuite(Suite):
    """A cascade that begins cheap: APGD on the cross-entropy, then runs of APGD towards the ``classes`` that look best.

    On a union MSD runs first, then the suite on each part by itself; where a projection costs much, as on Wasserstein balls,
    and on other convex sets the Frank-Wolfe method runs before, which needs none; on a set that is not convex PGD. Last comes a
    random search of few queries (``probe``), and one of ``queries`` where the gradient is zero.
    Source: croce2020, andriushchenko2020.
    """

    name: ClassVar[str] = "inradius_suite"

    # Croce and Hein 2020, sec. 6
    steps: int = attrs.field(default=100, validator=count)
    classes: int = attrs.field(default=3, validator=count)
    probe: int = attrs.field(default=200, validator=count)
    queries: int = attrs.field(default=5000, validator=count)

    def cascade(self, threat: Oracles) -> tuple[Attack, ...]:
        last = (
            ()
            if len(threat.parts()) > 1
            else (f"square(queries={self.probe})", f"where_flat(square(queries={self.queries}))")
        )
        return tuple(make(spec, Attack) for spec in (*self._gradients(threat), *last))

    def _gradients(self, threat: Oracles) -> tuple[str, ...]:
        steps, classes = self.steps, self.classes
        ce, targeted = f"apgd(steps={steps})", f"apgd_t(steps={steps}, classes={classes})"
        if len(threat.parts()) > 1:
            return f"msd(steps={steps})", f"worst_part({self})"
        if name_of(threat) in ("linf", "l2", "l1"):
            return ce, targeted, targeted
        if threat.convex:
            greedy = (f"frank_wolfe(steps={steps // 4 + 1})", f"frank_wolfe(steps={steps}, classes={classes})")
            return greedy if name_of(threat) == "wasserstein" else (*greedy, ce, targeted)
        return f"pgd(steps={steps}, restarts=2)", f"pgd(steps={steps}, restarts=2, objective=margin())", targeted
