"""The exact interval of a probability."""

from functools import lru_cache


# tables ask for the same few counts again and again
@lru_cache(maxsize=4096)
def clopper_pearson(count: float, total: int, level: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a probability from ``count`` successes in ``total`` independent trials.

    It covers the probability with at least ``level``, for every value of the probability.
    Source: clopper1934.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, total - count + 1)) if count > 0 else 0.0
    high = float(beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return low, high
