"""A budget of time: the cheap methods come first, and what the time does not suffice for is left."""

import time
from collections.abc import Iterator

import attrs

from inradius.bracketing.ledger import Ledger
from inradius.bracketing.plan import Plan
from inradius.bracketing.stages import stages

# one batch takes at most this share of the time that is left, since examples differ in what they take
_SHARE = 0.5


@attrs.define
class Budget:
    """The time that a run has left, and the seconds that an example took each stage, by its name, in its last batch."""

    end: float
    costs: dict[str, float] = attrs.field(factory=dict)

    @classmethod
    def of(cls, seconds: float) -> "Budget":
        """A budget that starts now."""
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """The seconds that are left, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def size(self, stage: str, most: int) -> int:
        """The number of examples for the next batch of a stage, 1 for one that was not measured yet, 0 where the time is up."""
        if not self.left:
            return 0
        cost = self.costs.get(stage)
        return 1 if cost is None else max(1, min(most, int(_SHARE * self.left / max(cost, 1e-9))))


def left_over(plan: Plan, ledger: Ledger) -> Iterator[str]:
    """A sentence on the methods that did not meet every undecided example of a run with a budget; none where all did."""
    undecided = ledger.undecided()
    missed = {stage.title: sum(row not in ledger.done(stage.name) for row in undecided) for stage in stages(plan)}
    listed = ", ".join(f"{title} {count}" for title, count in missed.items() if count)
    if listed:
        yield (
            f"the time of {plan.options.time:g} s was up before every method had met every undecided example (not met: {listed}), "
            "so that the accuracies are bounds that more time may bring closer; the same call goes on where this one stopped"
        )
