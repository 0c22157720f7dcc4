"""A check for each kind of component: its laws on random cases, in the loaded profile of hypothesis."""

from collections.abc import Callable, Collection

import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.attacks.objective import Objective
from inradius.certifiers.certifier import Certifier
from inradius.certifiers.layer_rule import LayerRule
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel
from inradius.testing import objectives, outcomes, rules
from inradius.testing.datasets import Loaded
from inradius.testing.models import Built
from inradius.testing.networks import trials
from inradius.testing.running import Law, check_all
from inradius.testing.strategies import Shape, cases
from inradius.testing.strategies import inputs as drawn_inputs


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
    check_all(subject, strategy.map(lambda case: case.to(dtype)), ThreatModel, examples, only, without)


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
    check_all(subject, strategy, Attack, examples, only, without)


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
    check_all(subject, trials(shape, around, inputs=inputs), Certifier, examples, only, without)


def check_layer_rule(
    module: nn.Module,
    in_shape: Shape,
    *,
    within: tuple[float, float] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where the rule registered for a layer breaks a law on this layer, in float64 and eval mode.

    ``in_shape`` is the shape of one example's input. ``within`` are the ends between which the layer has values, as (0.1, 10)
    for a logarithm; by default boxes reach beyond ±1000. Raises ``UnsupportedError`` for a layer without a rule.
    """
    op = rules.operator(module, in_shape)
    check_all(op, rules.intervals(in_shape, within=within), LayerRule, examples, only, without)


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
    check_all(subject, objectives.scores(classes), Objective, examples, only, without)


def check_outcome(
    outcome: Outcome | str,
    *,
    outputs: Shape = (5,),
    labels: Callable[[Tensor], Tensor] | None = None,
    broken: Callable[[Tensor, Tensor], Tensor] | None = None,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where an outcome breaks a law.

    ``outputs`` is the shape of one example's outputs. ``labels`` gives labels for which outputs (n, *outputs) are right, by
    default the class of the largest logit. ``broken`` tells from outputs (n, *outputs) and labels what counts as broken, (n,), in
    other words than the outcome's; without it the sign of the margin is not compared with anything.
    """
    right = labels or (lambda found: found.argmax(1))
    check_all(make(outcome, Outcome), outcomes.answers(outputs, right, broken=broken), Outcome, examples, only, without)


def check_dataset(
    dataset: str,
    *,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where the data that a spec loads break a law."""
    check_all(Loaded.of(dataset), st.none(), Dataset, 1, only, without)


def check_model(
    model: str,
    *,
    shape: Shape,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where the network that a spec builds breaks a law on inputs (B, *shape) in [0, 1]."""
    check_all(Built.of(model), drawn_inputs(shape, batch=3), nn.Module, examples, only, without)
