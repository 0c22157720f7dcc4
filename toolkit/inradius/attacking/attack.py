"""``inradius.attack``: an attack on tensors, arrays or lists, in batches and at several radii."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable, check_kind, check_threat
from inradius.attacking.given import as_goals, as_inputs, as_labels
from inradius.attacking.loss import Loss, with_objective
from inradius.attacking.question import Question
from inradius.attacking.radii import attacked_at
from inradius.attacks.attack import Attack, Attacked
from inradius.attacks.objective import Objective
from inradius.components.registry import make
from inradius.errors import InputError
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome
from inradius.sets.oracles import Oracles

DEFAULT_ATTACK, DEFAULT_BATCH = "apgd", 128


def attack(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Any,
    y: Any,
    threat: Oracles | str,
    attack: Attack | str = DEFAULT_ATTACK,
    *,
    goal: Any = None,
    objective: Objective | Loss | str | None = None,
    outcome: Outcome | str = TOP1,
    radii: Sequence[float] | None = None,
    grid: int | None = None,
    batch_size: int = DEFAULT_BATCH,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Attacked:
    """The perturbations that an attack finds, and their judgement: the ``Attacked`` of ``attack(model, x, y, threat)``.

    ``model`` is a network or a function from inputs to logits. ``x`` (B, *S) and ``y`` (B,) are tensors, arrays or lists;
    what is no tensor comes to the type and the device of the model. ``threat`` and ``attack`` are components or specs.
    ``goal`` is a class to aim at, one for all or one for each input. ``objective`` takes the place of the attack's own: a spec,
    an ``Objective``, a loss such as ``nn.CrossEntropyLoss()``, or a function of logits (n, C) and labels (n,) that gives (n,).
    ``outcome`` says what counts as broken. ``grid=8`` asks for perturbed inputs that 8 bits hold (``on_grid``). ``batch_size`` is
    the number of inputs at once; it changes no answer but by the rounding of the model, as random numbers belong to the example.
    ``observe(step, delta)`` sees the iterates of each batch in turn.

    With ``radii``, in units of the set's radius, the fields have a first axis for them: delta (R, B, *S), success (R, B) and so
    on; an example that is broken at a radius keeps its perturbation at larger ones. An attack that looks for the smallest
    perturbation runs once for all radii. Raises ``InputError`` and ``SpecError`` for invalid arguments.
    """
    chosen = make(attack, Attack)
    if objective is not None:
        chosen = with_objective(chosen, make(objective, Objective) if isinstance(objective, str) else objective)
    if grid is not None:
        chosen = make("on_grid", Attack, attack=chosen, bits=grid)
    found_threat = make(threat, Oracles) if isinstance(threat, str) else threat
    found_outcome = make(outcome, Outcome) if isinstance(outcome, str) else outcome
    check_callable(model)
    check_threat(found_threat)
    check_kind(found_outcome, Outcome, "outcome")
    inputs = as_inputs(x, model)
    if inputs.ndim < 2:
        raise InputError(
            f"the inputs have shape {tuple(inputs.shape)}; allowed is a batch, (B, *S), as x[None] makes of one input"
        )
    labels = as_labels(y, inputs.device)
    if not labels.is_floating_point() and labels.dtype != torch.bool:
        labels = labels.long()
    goals = as_goals(goal, len(inputs), inputs.device)
    question = Question.of(model, inputs, labels, found_threat, found_outcome, goals)
    size = _size(batch_size)
    parts = [question.select(rows) for rows in torch.split(question.index, size)] or [question]
    if radii is None:
        return _joined([part.run(chosen, observe) for part in parts], 0)
    return _joined([attacked_at(part, chosen, radii, observe) for part in parts], 1)


def _size(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InputError(f"batch_size={given!r} is not allowed; allowed is an integer ≥ 1")
    return given


def _joined(parts: Sequence[Attacked], axis: int) -> Attacked:
    """The answers of all batches, side by side along an axis."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in attrs.fields(Attacked)]
    return Attacked(**{name: torch.cat([getattr(part, name) for part in parts], dim=axis) for name in names})
