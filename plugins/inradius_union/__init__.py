"""Unions of sets, and attacks that go for several sets at once."""

from inradius import ThreatModel, hookimpl


@hookimpl
def threat_models() -> list[type[ThreatModel]]:
    return []
