"""The outcomes that come with inradius."""

from collections.abc import Mapping
from typing import Any

from inradius.components.hookimpl import hookimpl
from inradius.outcomes.classes import Confidence, Never, Top1, TopK
from inradius.outcomes.marks import Binary, MultiLabel
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.regression import Regression
from inradius.outcomes.segmentation import Segmentation


@hookimpl
def outcomes() -> list[type[Outcome]]:
    return [Top1, TopK, Confidence, Never, Binary, MultiLabel, Segmentation, Regression]


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    from inradius.outcomes.law_cases import outcome_cases

    return outcome_cases()
