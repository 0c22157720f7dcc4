"""A loss of torch, or any function of logits and labels, as an objective."""

import copy
from collections.abc import Callable
from typing import Any

import attrs
from torch import Tensor, nn

from inradius.arguments import told
from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]


@attrs.frozen(kw_only=True)
class FunctionObjective(Objective):
    """An objective by a function of logits (n, C) and labels (n,); no spec makes it.

    With goals it is minus the function at the goals.
    """

    name = "objective"

    function: Loss
    title: str

    def __call__(self, logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
        found: object = self.function(logits, y) if goal is None else -self.function(logits, goal)
        if not isinstance(found, Tensor) or found.shape != (len(y),) or not found.is_floating_point():
            raise InputError(
                f"{self} gave {told(found)} for {len(y)} examples; allowed is one number for each, as with reduction='none'"
            )
        return found

    def spec(self, *, full: bool = False) -> str:
        """The name of the function."""
        return f"objective({self.title})"


def as_objective(given: Objective | Loss) -> Objective:
    """The objective, or one by a function. A loss of torch that adds up examples is asked for each of them instead."""
    if isinstance(given, Objective):
        return given
    if not callable(given) or isinstance(given, type):
        raise InputError(f"the objective is {told(given)}; allowed is an Objective, or a function of logits and labels")
    title = str(getattr(given, "__qualname__", type(given).__name__))
    if isinstance(given, nn.Module) and isinstance(getattr(given, "reduction", None), str):
        each: Any = copy.copy(given)
        each.reduction = "none"
        return FunctionObjective(function=each, title=title)
    return FunctionObjective(function=given, title=title)


def with_objective(attack: Attack, given: Objective | Loss | str) -> Attack:
    """The attack with another objective. Raises ``InputError`` where it takes none."""
    if "objective" not in attrs.fields_dict(type(attack)):
        raise InputError(
            f"an objective was given, and {attack} has no parameter for one; allowed are attacks that have, such as pgd and apgd"
        )
    changes: dict[str, Any] = {"objective": as_objective(given) if not isinstance(given, str) else given}
    return attrs.evolve(attack, **changes)
