"""The interval of an accuracy that was judged by votes."""

import math
from collections.abc import Sequence

from inradius.bracketing.clopper_pearson import clopper_pearson


def near_tie(margin: float, votes: int) -> bool:
    """True where a margin of ``vote_interval`` is within two standard deviations, 2 / √votes each, of that of a tie."""
    return abs(margin) < 4 / math.sqrt(votes)


def vote_interval(margins: Sequence[float], votes: int) -> tuple[float, float]:
    """The 95 % interval of the accuracy by a vote of very many passes, from the margins of votes of ``votes`` passes.

    It is the Clopper-Pearson interval of the images, whose count gives way on either side by the number of images that are
    expected to change: one with the label on k of the votes changes with the probability that its share lies on the
    other side of ½, by the Beta distribution of Jeffreys' prior. That presumes shares from 0 to 1: where those of most images are
    alike and ``near_tie``, or votes are few, the interval is too narrow.
    """
    from scipy.stats import beta

    right, lost, won = 0, 0.0, 0.0
    for margin in margins:
        # the share of the label among itself and its rival, from log((k + ½) / (l + ½))
        most = 1 / (1 + math.exp(-margin)) * (votes + 1)
        below = float(beta.cdf(0.5, most, votes + 1 - most))
        if margin > 0:
            right, lost = right + 1, lost + below
        else:
            won += 1 - below
    return clopper_pearson(right - lost, len(margins))[0], clopper_pearson(right + won, len(margins))[1]
