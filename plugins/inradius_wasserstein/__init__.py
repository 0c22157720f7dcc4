"""Wasserstein balls of images: mass moves between near pixels."""

from typing import Any

from inradius import ThreatModel, hookimpl
from inradius_wasserstein.entropic.conjugate import conjugate_sinkhorn as conjugate_sinkhorn
from inradius_wasserstein.plans.distance import distance as distance
from inradius_wasserstein.plans.distance import flows as flows
from inradius_wasserstein.set.ball import Wasserstein as Wasserstein


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Wasserstein]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    # The interior-point method ends by its gap, a squared distance: a point may move by its root. At (1, 4, 4) the projections of an
    # example alone and in a batch can differ by 1e-6, at distances from the projected point that agree to 1e-11.
    return {
        "wasserstein(eps=0.2, bounds=(0, 1))": {"shape": (1, 3, 3)},
    }
