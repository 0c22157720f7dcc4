"""A check for defenses and for each kind of part of a training run, in the loaded profile of hypothesis."""

from collections.abc import Collection

import hypothesis.strategies as st
from torch import Tensor

from inradius.components.registry import make
from inradius.sets.arithmetic.sides import Box
from inradius.sets.threat_model import ThreatModel
from inradius.testing import samplers, schedules, transforms
from inradius.testing.defenses import defense_cases
from inradius.testing.running import Law, check_all
from inradius.testing.small_runs import run_cases
from inradius.testing.strategies import Shape
from inradius.training.defense import Defense
from inradius.training.slots import Direction, Monitor, Regularizer, Sampler, Schedule, Transform, Update


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
    check_all(subject, defense_cases(shape, around, images=inputs), Defense, examples, only, without)


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
    check_all(subject, transforms.changes(shape, bounds=bounds, images=inputs), Transform, examples, only, without)


def check_sampler(
    sampler: Sampler | str,
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a sampler breaks a law in runs on a few examples of two joined sets."""
    check_all(make(sampler, Sampler), samplers.sampler_cases(shape), Sampler, examples, only, without)


def check_schedule(
    schedule: Schedule | str,
    *,
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a schedule breaks a law."""
    check_all(make(schedule, Schedule), schedules.schedule_cases(), Schedule, examples, only, without)


def check_regularizer(
    regularizer: Regularizer | str,
    threat: ThreatModel | str = "linf(eps=0.1)",
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a regularizer breaks a law in short runs under ``threat``."""
    subject, around = make(regularizer, Regularizer), make(threat, ThreatModel)
    check_all(subject, run_cases(shape, around), Regularizer, examples, only, without)


def check_direction(
    direction: Direction | str,
    threat: ThreatModel | str = "linf(eps=0.1)",
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a direction breaks a law in short runs under ``threat``."""
    subject, around = make(direction, Direction), make(threat, ThreatModel)
    check_all(subject, run_cases(shape, around), Direction, examples, only, without)


def check_update(
    update: Update | str,
    threat: ThreatModel | str = "linf(eps=0.1)",
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where an update breaks a law in short runs under ``threat``."""
    subject, around = make(update, Update), make(threat, ThreatModel)
    check_all(subject, run_cases(shape, around), Update, examples, only, without)


def check_monitor(
    monitor: Monitor | str,
    threat: ThreatModel | str = "linf(eps=0.1)",
    *,
    shape: Shape = (1, 3, 3),
    examples: int | None = None,
    only: Collection[Law] | None = None,
    without: Collection[Law] = (),
) -> None:
    """Raises ``AssertionError`` where a monitor breaks a law in short runs under ``threat``."""
    subject, around = make(monitor, Monitor), make(threat, ThreatModel)
    check_all(subject, run_cases(shape, around), Monitor, examples, only, without)
