"""The lead of one class over the label."""

import attrs
from torch import Tensor

from inradius import Margin, Objective
from inradius.attacks.objective import logit_difference


@attrs.frozen(kw_only=True)
class LogitDifference(Objective):
    """The logit of the class aimed at minus the label's, z_j − z_y; without a goal the largest of them, which is the margin.

    Unlike the margin with a goal it asks for no lead over the other wrong classes. Source: robey2023.
    """

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        return Margin()(logits, y) if goal is None else logit_difference(logits, y, goal)
