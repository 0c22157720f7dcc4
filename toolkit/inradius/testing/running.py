"""The laws of each kind, and running them under hypothesis with the loaded profile."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import hypothesis
import hypothesis.strategies as st
from torch import nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.data.dataset import Dataset
from inradius.errors import SpecError
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.testing import (
    attacks,
    certifiers,
    datasets,
    defenses,
    direction_laws,
    models,
    monitors,
    objectives,
    outcomes,
    regularizers,
    rules,
    samplers,
    schedules,
    sets,
    transforms,
    updates,
)
from inradius.training.defense import Defense
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update

Law = Callable[[Any, Any], None]

LAWS: dict[type, Sequence[Law]] = {
    ThreatModel: sets.LAWS,
    Attack: attacks.LAWS,
    Certifier: certifiers.LAWS,
    LayerRule: rules.LAWS,
    Objective: objectives.LAWS,
    Outcome: outcomes.LAWS,
    Dataset: datasets.LAWS,
    nn.Module: models.LAWS,
    Defense: defenses.LAWS,
    Transform: transforms.LAWS,
    Sampler: samplers.LAWS,
    Regularizer: regularizers.LAWS,
    Direction: direction_laws.LAWS,
    Update: updates.LAWS,
    Schedule: schedules.LAWS,
    Monitor: monitors.LAWS,
}

# one call of these laws costs as much as dozens of calls of the others
_COSTLY: tuple[Law, ...] = (
    sets.agrees_with_cvxpy,
    *defenses.LAWS,
    *certifiers.LAWS,
    *samplers.LAWS,
    *regularizers.LAWS,
    *direction_laws.LAWS,
    *updates.LAWS,
    *monitors.LAWS,
    outcomes.attacks_and_certificates_agree,
)


def laws(kind: type) -> list[Law]:
    """The laws of an interface, for ``pytest.mark.parametrize("law", laws(ThreatModel))``; each docstring is the law."""
    for known, found in LAWS.items():
        if issubclass(kind, known):
            return list(found)
    raise SpecError(f"there are no laws for {kind.__name__}; there are some for {', '.join(k.__name__ for k in LAWS)}")


def check_all(
    subject: Any,
    strategy: st.SearchStrategy[Any],
    kind: type,
    examples: int | None,
    only: Collection[Law] | None,
    without: Collection[Law],
) -> None:
    """Checks the chosen laws of a kind on cases of the strategy; the first that breaks raises, with the law in a note."""
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
