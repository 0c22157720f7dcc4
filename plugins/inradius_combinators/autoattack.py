"""AutoAttack, the standard suite."""

from typing import ClassVar

import attrs

from inradius import Attack, Oracles, UnsupportedError
from inradius.components.default import default
from inradius.components.validators import count
from inradius.sets.norm import L1, L2, LINF, Norm
from inradius_combinators.suite import Suite

_NORMS = (LINF, L2, L1)


@attrs.frozen(kw_only=True)
class AutoAttack(Suite):
    """AutoAttack on an ℓ∞, ℓ2 or ℓ1 ball: APGD-CE, APGD-T, FAB-T and Square, each on the examples not yet broken.

    Version "plus" begins with five restarts of APGD-CE, APGD-DLR and FAB; "rand", for random models, is APGD-CE and APGD-DLR
    against the mean of 20 passes. On ℓ1 the "standard" has five restarts of APGD-CE and five classes in APGD-T. ``steps``
    are those of the gradient attacks. Raises ``UnsupportedError`` for any other set.
    Source: croce2020; for ℓ1 croce2021.
    """

    name: ClassVar[str] = "autoattack"
    positional = ("version",)

    version: str = attrs.field(default="standard", validator=attrs.validators.in_(("standard", "plus", "rand")))
    # Croce and Hein 2020, sec. 6
    steps: int = attrs.field(default=100, validator=count)
    classes: int = attrs.field(default=9, validator=count)
    queries: int = attrs.field(default=5000, validator=count)

    def takes_means(self) -> bool:
        return self.version == "rand"

    def cascade(self, threat: Oracles) -> tuple[Attack, ...]:
        norm = threat.norm
        if norm is None or norm not in _NORMS:
            raise UnsupportedError(
                f"{self} was given {threat}; allowed are balls of {', '.join(map(str, _NORMS))}: inradius_suite() takes any set, "
                "and worst_part(autoattack()) each part of a union"
            )
        return tuple(default(spec, Attack, of="member of autoattack")() for spec in self._specs(norm))

    def _specs(self, norm: Norm) -> tuple[str, ...]:
        steps, square = self.steps, f"square(queries={self.queries})"
        apgd_t = f"apgd_t(steps={steps}, classes={self.classes})"
        # a distance below the radius is enough to decide an example
        fab_t = f"fab_t(steps={steps}, classes={self.classes}, enough=1.0)"
        if self.version == "rand":
            inner = (f"apgd(steps={steps})", f"apgd(steps={steps}, objective=dlr())")
            return tuple(f"eot({one}, samples=20)" for one in inner)
        if self.version == "plus":
            ce, dlr = (f"apgd(steps={steps}, restarts=5, objective={loss})" for loss in ("cross_entropy()", "dlr()"))
            return ce, dlr, f"fab(steps={steps}, restarts=5, classes={self.classes}, enough=1.0)", square, apgd_t, fab_t
        if norm == L1:
            few = f"apgd_t(steps={steps}, classes={min(self.classes, 5)})"
            return f"apgd(steps={steps}, restarts=5)", few, fab_t, square
        return f"apgd(steps={steps})", apgd_t, fab_t, square
