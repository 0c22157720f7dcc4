"""Wasserstein balls of images: mass moves between near pixels."""

from inradius import ThreatModel, hookimpl
from inradius_wasserstein.entropic.conjugate import conjugate_sinkhorn as conjugate_sinkhorn
from inradius_wasserstein.plans.distance import distance as distance
from inradius_wasserstein.plans.distance import flows as flows
from inradius_wasserstein.set.ball import Wasserstein as Wasserstein


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Wasserstein]
