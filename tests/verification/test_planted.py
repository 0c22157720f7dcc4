"""Counterexamples that many restarts of PGD miss, because networks are trained to hide them, are found and never proved away."""

import pytest
from planted_networks import drawn, planted, searched

import inradius


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 14])
def test_a_hidden_counterexample_is_found_and_never_proved_away(seed):
    found = planted(seed)
    if found is None:
        pytest.skip("the counterexample was not hidden by training")
    result = inradius.verify(found.model, found.x, found.threat, found.prop, timeout=60)
    assert result.status == "sat"
    assert searched(found, 5) != "proved"


@pytest.mark.parametrize("seed", [0, 2, 14, 21])
def test_the_planted_point_is_a_member_of_the_set(seed):
    found = drawn(seed)
    assert bool(found.threat.contains(found.delta, found.x, tol=0))
