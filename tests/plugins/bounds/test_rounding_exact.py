"""Certificates against exact arithmetic: no bound, less its error, is above the exact value at a member of the set.

Networks of every activation, 2 to 40 layers, three types; sets that are a point or nearly one, so that a bound and the true value
are nearly equal, and properties whose offsets make the bound nearly zero. `benchmarks/rounding.py` checks 5,000 certificates
and prints how much larger the stated errors are than the observed ones.
"""

import itertools

import attrs
import pytest
import torch
from exact_arithmetic import (
    Exact,
    drawn,
    exact_array,
    rows_of,
    with_offsets,
)
from exact_check import Outcome, check_proof, demand, exact_least, summary
from exact_fractions import flushing
from in_turn import in_turn
from mpmath import mpf
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel


@pytest.mark.parametrize("part", range(2))
def test_no_bound_is_above_the_exact_value_of_a_few_networks(part):
    demand(summary(range(part, 4, 2)))


def test_the_check_sees_bounds_without_their_errors():
    outcome = Outcome(0)
    for seed in range(100, 106):
        found = drawn(seed, bits=32, depth=4)
        weights = rows_of(found.draw, 3)
        offsets = torch.zeros(2, 1, dtype=torch.float64)
        threat = inradius.make("linf(eps=0.0, bounds=None)", ThreatModel)
        certifier = inradius.make("interval()", Certifier)
        proof = certifier(found.model, found.x, None, threat, prop=with_offsets(weights, offsets))
        # what rounding is owed lies in the bound as well
        bare = attrs.evolve(proof, lower=proof.lower + 4 * proof.error, error=torch.zeros_like(proof.error))
        check_proof(outcome, f"seed {seed}", bare, exact_least(found, weights, [exact_array(found.x[0])]))
    assert outcome.violations


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_no_bound_is_above_the_exact_value(part):
    """5,000 certificates and more."""
    demand(summary(range(1000 + 32 * part, 1000 + 32 * (part + 1))))


# networks that were certified against the exact value


def in_a_row(weights, *, bias=None, dtype=torch.float32):
    """One number through layers with ReLUs between them, and a bias behind the last."""
    layers = []
    for weight in weights:
        linear = nn.Linear(1, 1, bias=bias is not None and weight is weights[-1])
        linear.weight = nn.Parameter(torch.tensor([[weight]], dtype=torch.float64))
        layers += [linear, nn.ReLU()]
    if bias is not None:
        layers[-2].bias = nn.Parameter(torch.tensor([bias], dtype=torch.float64))
    return nn.Sequential(nn.Flatten(), *layers[:-1]).to(dtype).eval()


def exact_at(model, x):
    return Exact(model)(exact_array(x[0])).ravel()[0]


def certified(model, x, offset, spec, eps, flush):
    """The proof that the one output and the offset are above 0, made with or without subnormal numbers."""
    threat = inradius.make(f"linf(eps={eps!r}, bounds=None)", ThreatModel)
    prop = Property(torch.ones(1, 1, dtype=torch.float64), torch.tensor([offset], dtype=torch.float64))
    with flushing(flush):
        return inradius.make(spec, Certifier)(model, x, None, threat, prop=prop)


RANGES = [
    (torch.float32, [1e19, 1e19, 1.3e-22, -1e-22], [1e-23, 1e-23, 1e23, -1e23]),
    (torch.float64, [1e160, 1e140, 1.3e-162, -1e-162], [1e-170, 1e-170, 1e170, -1e170]),
]
SPECS = ("interval()", "dual()", "dual(intersect=False)", "crown()", "alpha(steps=2)", "alpha(layers='all', steps=2)")


@pytest.mark.parametrize(("spec", "numbers"), in_turn(SPECS, RANGES))
def test_a_backward_row_that_underflows_is_no_proof(spec, numbers):
    """Forward all is of moderate size; the product of the last two weights is among the subnormal numbers, or zero."""
    dtype, weights, _ = numbers
    model, x = in_a_row(weights, dtype=dtype), torch.ones(1, 1, dtype=dtype)
    value = exact_at(model, x)
    for share, eps, flush in itertools.product((0.9, 0.999), (0.0, 2.0**-20), (False, True)):
        proof = certified(model, x, float(-value * mpf(share)), spec, eps, flush)
        assert not bool(proof.certified), (share, eps, flush, proof.lower, proof.error)


@pytest.mark.parametrize(("spec", "numbers"), in_turn(SPECS, RANGES))
def test_a_value_that_underflows_on_its_way_is_no_proof(spec, numbers):
    """Forward the second value is no number of the type; in exact arithmetic the next layers bring it back to −1."""
    dtype, _, weights = numbers
    for bias, eps, flush in itertools.product((0.41, 0.999), (0.0, 2.0**-20), (False, True)):
        model, x = in_a_row(weights, bias=bias, dtype=dtype), torch.ones(1, 1, dtype=dtype)
        assert exact_at(model, x) < 0
        proof = certified(model, x, 0.0, spec, eps, flush)
        assert not bool(proof.certified), (bias, eps, flush, proof.lower, proof.error)
