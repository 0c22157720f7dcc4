"""An objective: what an attack maximises."""

import attrs
from torch import Tensor

from inradius import Objective


@attrs.frozen(kw_only=True)
class AcmeName(Objective):
    """1 − the probability of the label; with a goal, the goal's probability."""

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        chosen = logits.softmax(1).gather(1, (y if goal is None else goal)[:, None])[:, 0]
        return 1 - chosen if goal is None else chosen
