"""The soundness drill: no corner, sample or attack breaks a certificate of a random network, set and radius."""

import math

import attrs
import pytest
import torch
from drill_cases import drawn, layered
from drill_graphs import ALL, OPERATORS
from soundness_drill import COUNT, FIRST, PART, demand, drill

import inradius


def test_no_attack_breaks_a_certificate_of_a_few_random_networks():
    demand(drill(range(FIRST, FIRST + 16)))


def raw(place):
    """The graph of one operator of the raw input, in one of the precisions."""
    name = list(ALL)[place % len(ALL)]
    dtype = [torch.float32, torch.float64, torch.float32, torch.float16][place // len(ALL) % 4]
    return drawn(place, [name], dtype=dtype, decades=0)


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 10))])
def test_every_operator_meets_the_raw_input(part):
    table = drill(range(part, len(ALL), 10), raw, ["dual(intersect=False)"])
    print(table)
    assert not table.all("contradictions"), str(table)
    assert not table.all("errors"), str(table)
    bare = [o.name for o in table.outcomes if o.name.removeprefix("drawn ") in OPERATORS and not o.finite]
    assert not bare, str(table)


@pytest.mark.parametrize(
    ("seed", "spec"),
    [
        (22287, "intersection(linf(eps=49.703710362553885), l2(eps=99.40742072510777))"),
        (23529, "l2(eps=1.2759513589151938)"),
    ],
)
def test_numbers_beyond_a_solver_are_no_contradiction_and_no_crash(seed, spec):
    """Lines of a reciprocal that overflow, and weights of such sizes that the interior-point method gives up."""
    found = attrs.evolve(layered(seed), spec="l0", threat=inradius.make(spec, inradius.ThreatModel))
    table = drill([seed], lambda _: found, ["lp()"])
    assert not table.all("contradictions") + table.all("errors"), str(table)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(math.ceil(COUNT / PART)))
def test_no_attack_breaks_a_certificate_of_random_networks(part):
    demand(drill(range(FIRST + part * PART, FIRST + min(COUNT, (part + 1) * PART))))
