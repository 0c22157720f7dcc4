"""Wasserstein balls of images: mass moves between near pixels."""

from inradius import ThreatModel, hookimpl
from inradius_wasserstein.ball import Wasserstein as Wasserstein
from inradius_wasserstein.conjugate import conjugate_sinkhorn as conjugate_sinkhorn
from inradius_wasserstein.distance import distance as distance
from inradius_wasserstein.distance import flows as flows


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return [Wasserstein]
