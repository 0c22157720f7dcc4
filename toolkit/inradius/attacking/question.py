"""The arguments of an attack's call, and parts of them."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack, Attacked
from inradius.errors import InputError
from inradius.outcomes.outcome import Outcome
from inradius.sets.oracles import Oracles


@attrs.frozen(eq=False)
class Question:
    """The arguments of an attack's call, for the examples with the numbers ``index`` (n,)."""

    model: nn.Module | Callable[[Tensor], Tensor]
    x: Tensor
    y: Tensor
    threat: Oracles
    outcome: Outcome
    goal: Tensor | None
    index: Tensor

    @classmethod
    def of(
        cls,
        model: nn.Module | Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        threat: Oracles,
        outcome: Outcome,
        goal: Tensor | None,
    ) -> "Question":
        """The question about all examples. Raises ``InputError`` where labels or goals are not one for each."""
        for given, name in ((y, "labels"), (goal, "goals")):
            if given is not None and (given.ndim < 1 or len(given) != len(x)):
                raise InputError(
                    f"the {name} have shape {tuple(given.shape)} for {len(x)} inputs; allowed is one for each input"
                )
        return cls(model, x, y, threat, outcome, goal, torch.arange(len(x), device=x.device))

    def select(self, rows: Tensor) -> "Question":
        """The question about some of the examples."""
        return attrs.evolve(
            self,
            x=self.x[rows],
            y=self.y[rows],
            threat=self.threat.select(rows),
            goal=None if self.goal is None else self.goal[rows],
            index=self.index[rows],
        )

    def within(self, threat: Oracles) -> "Question":
        """The question with another set."""
        return attrs.evolve(self, threat=threat)

    def run(self, attack: Attack, observe: Callable[[int, Tensor], None] | None) -> Attacked:
        """The answer of an attack."""
        return attack(
            self.model,
            self.x,
            self.y,
            self.threat,
            index=self.index,
            goal=self.goal,
            outcome=self.outcome,
            observe=observe,
        )
