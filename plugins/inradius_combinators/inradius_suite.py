"""The suite of this toolkit: what AutoAttack finds, for less, on any set."""

from typing import ClassVar

import attrs

from inradius import Attack, Oracles
from inradius.components.default import default
from inradius.components.validators import count
from inradius.sets.norm import L1, L2, LINF
from inradius_combinators.suite import Suite


@attrs.frozen(kw_only=True)
class InradiusSuite(Suite):
    """A cascade that begins cheap: APGD on the cross-entropy, FAB, BETA and APGD towards classes, and APGD once more.

    That is for ℓp balls; FAB and APGD go towards ``classes`` classes, BETA towards three times as many. On a union MSD runs first,
    then the suite on each part by itself. On other convex sets the Frank-Wolfe method runs first, which needs no projection, and on
    Wasserstein balls alone; PGD runs on sets that are not convex. Last come a random search of few queries (``probe``), and one of
    ``queries`` where the gradient is zero.
    Source: croce2020, croce2020fab, robey2023, andriushchenko2020.
    """

    name: ClassVar[str] = "inradius_suite"

    # Croce and Hein 2020, sec. 6
    steps: int = attrs.field(default=100, validator=count)
    # as many as a quarter of AutoAttack's time allows; three times as many in BETA, whose runs are as much shorter
    classes: int = attrs.field(default=3, validator=count)
    probe: int = attrs.field(default=200, validator=count)
    # Croce and Hein 2020, sec. 6
    queries: int = attrs.field(default=5000, validator=count)

    def cascade(self, threat: Oracles) -> tuple[Attack, ...]:
        return tuple(default(spec, Attack, of="member of inradius_suite")() for spec in self._specs(threat))

    def _specs(self, threat: Oracles) -> tuple[str, ...]:
        if len(threat.members()) > 1:
            return f"msd(steps={self.steps})", f"worst_part({self})"
        blind = f"square(queries={self.probe})", f"if_zero_gradient(square(queries={self.queries}))"
        return (*self._gradients(threat), *blind)

    def _gradients(self, threat: Oracles) -> tuple[str, ...]:
        steps, classes = self.steps, self.classes
        ce, targeted = f"apgd(steps={steps})", f"apgd_t(steps={steps}, classes={classes})"
        if threat.norm in (LINF, L2, L1):
            # another start of the cheapest one finds what chance hid from the others
            # half of the steps, each of which asks twice
            fab = f"fab_t(steps={steps // 2 + 1}, classes={classes}, enough=1.0, polish=0)"
            return ce, fab, f"beta(classes={3 * classes})", targeted, ce
        if threat.convex:
            greedy = (f"frank_wolfe(steps={steps // 4 + 1})", f"frank_wolfe(steps={steps}, classes={classes})")
            return greedy if threat.slow_projection else (*greedy, ce, targeted)
        return f"pgd(steps={steps}, restarts=2)", f"pgd(steps={steps}, restarts=2, objective=margin())", targeted
