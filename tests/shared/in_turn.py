"""Combinations of parameters, of which the default run takes a part that meets every value."""

from itertools import product

import pytest


def in_turn(*parameters):
    """All combinations, for ``pytest.mark.parametrize``; most are for ``-m slow``.

    The default run takes one combination in as many as the shortest parameter has values: each value of a longer one meets the
    values of the shortest in turn.
    """
    shortest = min(map(len, parameters))
    cases = []
    for places in product(*(range(len(values)) for values in parameters)):
        combination = [values[place] for place, values in zip(places, parameters, strict=True)]
        cases.append(pytest.param(*combination, marks=pytest.mark.slow if sum(places) % shortest else ()))
    return cases
