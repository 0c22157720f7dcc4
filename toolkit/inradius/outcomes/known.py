"""The outcomes that come with inradius."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from inradius.components.hookimpl import hookimpl
from inradius.outcomes.classes import Confidence, Never, Top1, TopK
from inradius.outcomes.marks import Binary, MultiLabel
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.regression import Regression
from inradius.outcomes.segmentation import Segmentation


@hookimpl
def outcomes() -> list[type[Outcome]]:
    return [Top1, TopK, Confidence, Never, Binary, MultiLabel, Segmentation, Regression]


def _marks(outputs: Tensor) -> Tensor:
    return (outputs > 0).long()


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    return {
        "top1": {},
        "top_k(k=3)": {},
        "confidence(0.5)": {},
        "confidence(0.9)": {"outputs": (2,)},
        "never(2)": {},
        "binary": {"outputs": (), "labels": _marks},
        "binary(threshold=0.5)": {"outputs": (1,), "labels": lambda outputs: (outputs.reshape(-1) > 0.5).long()},
        "multi_label": {"outputs": (4,), "labels": _marks},
        "segmentation(0.7)": {"outputs": (3, 2, 2)},
        "regression(0.3)": {"outputs": (), "labels": lambda outputs: outputs},
        "regression(tolerance=10)": {"outputs": (3,), "labels": lambda outputs: outputs},
    }
