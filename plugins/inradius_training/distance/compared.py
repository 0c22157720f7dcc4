"""The attack of defenses that compare predictions."""

from collections.abc import Callable

from inradius import Attack
from inradius.components.default import default


def climber(objective: str, begin: str = "noise=0.001", *, of: str) -> Callable[[], Attack]:
    """A factory of ten steps of PGD that maximise the objective from a start near x; at x the distances have no gradient."""
    # Zhang et al. 2019, sec. 5: 10 steps from 0.001 N(0, 1); a quarter of the radius a step is Wu et al. 2022, sec. 5
    spec = f"pgd(steps=10, step=0.25, {begin}, objective={objective}, keep_maximising=True)"
    return default(spec, Attack, of=of)
