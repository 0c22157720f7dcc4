"""Sets made from another set."""

from abc import ABC

from torch import Tensor

from inradius.sets.oracles import Oracles


class DerivedOracles(Oracles, ABC):
    """Oracles made from those of another set, ``threat``: convex, exact or a box where that set is, and around the same inputs."""

    threat: Oracles

    @property
    def convex(self) -> bool:
        return self.threat.convex

    @property
    def tight(self) -> bool:
        return self.threat.tight

    @property
    def is_box(self) -> bool:
        return self.threat.is_box

    def check_inputs(self, x: Tensor) -> None:
        self.threat.check_inputs(x)
