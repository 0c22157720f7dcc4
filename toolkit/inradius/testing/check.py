"""Running laws under hypothesis, with the loaded profile."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import hypothesis
import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.components.registry import make
from inradius.errors import SpecError
from inradius.outcomes.outcome import Outcome
from inradius.sets.arithmetic.sides import Box
from inradius.sets.threat_model import ThreatModel
from inradius.testing import (
    attacks,
    certifiers,
    defenses,
    objectives,
    outcomes,
    rules,
    samplers,
    schedules,
    sets,
    transforms,
)
from inradius.testing.defenses import defense_cases
from inradius.testing.networks import trials
from inradius.testing.strategies import Shape, cases
from inradius.training.defense import Defense
from inradius.training.slots import Sampler, Schedule, Transform

Law = Callable[[Any, Any], None]

_LAWS: dict[type, Sequence[Law]] = {
    ThreatModel: sets.LAWS,
    Attack: attacks.LAWS,
    Certifier: certifiers.LAWS,
    LayerRule: rules.LAWS,
    Objective: objectives.LAWS,
    Outcome: outcomes.LAWS,
    Defense: defenses.LAWS,
    Transform: transforms.LAWS,
    Sampler: samplers.LAWS,
    Schedule: schedules.LAWS,
}

# one call of these laws costs as much as dozens of calls of the others
_COSTLY: tuple[Law, ...] = (
    sets.agrees_with_cvxpy,
    *defenses.LAWS,
    *certifiers.LAWS,
    *samplers.LAWS,
    outcomes.attacks_and_certificates_agree,
)


def laws(kind: type) -> list[Law]:
    """The laws of an interface, for ``pytest.mark.parametrize("law", laws(ThreatModel))``; each docstring is the law."""
    for known, found in _LAWS.items():
        if issubclass(kind, known):
            return list(found)
    raise SpecError(f"there are no laws for {kind.__name__}; there are some for {', '.join(k.__name__ for k in _LAWS)}")


def check_threat_model(
    threat: ThreatModel | str,
    *,
    shape: Shape = (1, 4, 4),
    inputs: st.SearchStrategy[Tensor] | None = None,
    dtype: torch.dtype = torch.float64,
    tolerance: float | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a set breaks a law.

    ``shape`` is that of one input. ``inputs`` draws batches (B, *shape) for sets that need special ones; by default
    they are points of the set's ``bounds``. ``tolerance`` is the relative error allowed to the oracles (1e-7; in
    float32 1e-3); it does not apply to the soundness of support. ``examples`` is the number of cases for each law, by
    default that of the profile. ``only`` and ``without`` choose laws.
    """
    subject = make(threat, ThreatModel)
    tol = tolerance if tolerance is not None else (1e-7 if dtype == torch.float64 else 1e-3)
    strategy = cases(shape, inputs=inputs, bounds=subject.bounds, tolerance=tol)
    _check_all(subject, strategy.map(lambda case: case.to(dtype)), ThreatModel, examples, only, without)


def check_attack(
    attack: Attack | str,
    threat: ThreatModel | str,
    *,
    shape: Shape = (1, 3, 3),
    inputs: st.SearchStrategy[Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where an attack breaks a law on random networks under ``threat``."""
    subject, around = make(attack, Attack), make(threat, ThreatModel)
    # the networks round equally in every batch, so that an attack's choices can be compared
    strategy = trials(shape, around, inputs=inputs, row_wise=True)
    _check_all(subject, strategy, Attack, examples, only, without)


def check_certifier(
    certifier: Certifier | str,
    threat: ThreatModel | str,
    *,
    shape: Shape = (1, 3, 3),
    inputs: st.SearchStrategy[Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a certifier breaks a law on random networks under ``threat``."""
    subject, around = make(certifier, Certifier), make(threat, ThreatModel)
    _check_all(subject, trials(shape, around, inputs=inputs), Certifier, examples, only, without)


def check_layer_rule(
    module: nn.Module,
    in_shape: Shape,
    *,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where the rule registered for a layer breaks a law on this layer, in float64 and eval mode.

    ``in_shape`` is the shape of one example's input. Raises ``UnsupportedError`` for a layer without a rule.
    """
    op = rules.operator(module, in_shape)
    _check_all(op, rules.intervals(in_shape), LayerRule, examples, only, without)


def check_objective(
    objective: Objective | str,
    *,
    classes: int = 5,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where an objective breaks a law."""
    subject = make(objective, Objective)
    _check_all(subject, objectives.scores(classes), Objective, examples, only, without)


def check_outcome(
    outcome: Outcome | str,
    *,
    outputs: Shape = (5,),
    labels: Callable[[Tensor], Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where an outcome breaks a law.

    ``outputs`` is the shape of one example's outputs. ``labels`` gives labels for which outputs (n, *outputs) are right, by
    default the class of the largest logit.
    """
    right = labels or (lambda found: found.argmax(1))
    _check_all(make(outcome, Outcome), outcomes.answers(outputs, right), Outcome, examples, only, without)


def check_defense(
    defense: Defense | str,
    threat: ThreatModel | str,
    *,
    shape: Shape = (1, 3, 3),
    inputs: st.SearchStrategy[Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a defense breaks a law when it trains a tiny network under ``threat``."""
    subject, around = make(defense, Defense), make(threat, ThreatModel)
    _check_all(subject, defense_cases(shape, around, images=inputs), Defense, examples, only, without)


def check_transform(
    transform: Transform | str,
    *,
    shape: Shape = (1, 4, 4),
    bounds: Box = (0.0, 1.0),
    inputs: st.SearchStrategy[Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a transform breaks a law on batches within ``bounds``.

    Transforms that mix examples are checked ``without=[transforms.batch_mates_change_nothing]``.
    """
    subject = make(transform, Transform)
    _check_all(subject, transforms.changes(shape, bounds=bounds, images=inputs), Transform, examples, only, without)


def check_sampler(
    sampler: Sampler | str,
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a sampler breaks a law in runs on a few examples of two joined sets."""
    _check_all(make(sampler, Sampler), samplers.sampler_cases(shape), Sampler, examples, only, without)


def check_schedule(
    schedule: Schedule | str,
    *,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a schedule breaks a law."""
    _check_all(make(schedule, Schedule), schedules.schedule_cases(), Schedule, examples, only, without)


def _check_all(
    subject: Any,
    strategy: st.SearchStrategy[Any],
    kind: type,
    examples: int | None,
    only: Collection[Law] | None,
    without: Collection[Law],
) -> None:
    chosen = [law for law in laws(kind) if law not in without and (only is None or law in only)]
    count = examples or hypothesis.settings().max_examples
    # cheap laws share their cases, because drawing a case costs more than checking it
    for together, share in (
        ([law for law in chosen if law not in _COSTLY], count),
        *(([law], max(1, count // 4)) for law in chosen if law in _COSTLY),
    ):
        _check(together, subject, strategy, share)


def _check(chosen: list[Law], subject: Any, strategy: st.SearchStrategy[Any], count: int) -> None:
    @hypothesis.settings(deadline=None, max_examples=count, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(strategy)
    def run(case: Any) -> None:
        for law in chosen:
            _apply(law, subject, case)

    if chosen:
        run()


def _apply(law: Law, subject: Any, case: Any) -> None:
    try:
        law(subject, case)
    except Exception as error:
        error.add_note(f"{subject} breaks the law {law.__name__}: {law.__doc__}")
        raise
