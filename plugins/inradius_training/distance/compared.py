"""The attack that a comparison of predictions needs."""

from inradius import Attack, make


def climber(objective: str, begin: str = "noise=0.001") -> Attack:
    """Ten steps of PGD that look for the largest objective, near x and yet off it: at x the distances have no gradient."""
    # Zhang et al. 2019, sec. 5: 10 steps from 0.001 N(0, 1); a quarter of the radius a step is Wu et al. 2022, sec. 5
    return make(f"pgd(steps=10, step=0.25, {begin}, objective={objective}, keep_maximising=True)", Attack)
