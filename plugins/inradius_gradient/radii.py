"""The same set at another radius, with or without radii of its own for each example."""

from inradius import Oracles, PerExample, ThreatModel, UnsupportedError


def scaled(threat: Oracles, factor: float) -> Oracles:
    """The set at ``factor`` times its radius, or each of its radii."""
    if isinstance(threat, ThreatModel):
        return threat.scaled(factor)
    if isinstance(threat, PerExample):
        return threat.threat.per_example(threat.factors * factor)
    raise UnsupportedError(
        f"{threat} has no other radius; allowed are threat models, and those with a radius per example"
    )
