"""Branch and bound decides properties of small networks, and a grid of points and a second reader agree."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from verify_cases import box_text, grid, network
from vnnlib_reference import Reference

from inradius import make
from inradius.verification.clock import Clock
from inradius.verification.verify_query import verify_query
from inradius.verification.vnnlib.query import Query
from inradius.verification.vnnlib.version1 import statement_of


def half_space(rng, outputs):
    """A comparison that cuts off few of these outputs, or misses them by little."""
    weights = rng.integers(-3, 4, 3)
    weights[0] += not weights.any()
    values = outputs @ torch.tensor(weights, dtype=torch.float64)
    level = float(values.min()) + rng.normal() * 0.05 * float(values.max() - values.min())
    terms = " ".join(f"(* {weight} Y_{k})" for k, weight in enumerate(weights))
    return f"(<= (+ {terms}) {level:.4f})"


def statement(rng, kind, low, high, outputs):
    """An unsafe set of one of four kinds: a half-space, ORs with inputs, a slab, and half-spaces in parts of the box."""
    cut = [half_space(rng, outputs) for _ in range(3)]
    if kind == 0:
        return cut[0]
    if kind == 1:
        across = f"(<= (- X_0 (* {rng.normal():.2f} X_1)) {rng.normal():.3f})"
        return f"(or {cut[0]} (and {cut[1]} {across}))"
    if kind == 2:
        first, last = sorted(float(outputs[rng.integers(len(outputs)), 0]) for _ in range(2))
        return f"(and (>= Y_0 {first:.4f}) (<= Y_0 {last:.4f}) {cut[0]})"
    parts = f"(<= X_0 {low[0] + 0.3:.3f})", f"(>= X_1 {high[1] - 0.2:.3f})"
    return f"(or (and {parts[0]} {cut[0]}) (and {parts[1]} {cut[1]} {cut[2]}))"


def decided_rightly(seed):
    rng = np.random.default_rng(seed)
    model = network(seed, hidden=int(rng.integers(4, 24)), outputs=3)
    low = rng.normal(size=2).round(3)
    high = (low + 2 * rng.random(2)).round(3)
    points = grid(low, high)
    outputs = model.double()(points)
    model.float()
    text = box_text(low, high, outputs=3) + f"(assert {statement(rng, seed % 4, low, high, outputs)})"
    query, reference = Query.of(statement_of(text)), Reference(text)
    certifier = make("branch_and_bound")
    found = verify_query(
        model, query, Clock(20), shape=(2,), dtype=torch.float32, certifier=certifier, claim="float", seed=seed
    )
    assert found.status in ("sat", "unsat")
    if found.status == "sat":
        x, y = ([Fraction(v) for v in side.flatten().tolist()] for side in (found.witness, found.outputs))
        assert reference.unsafe(x, y)
    else:
        pairs = zip(points.tolist(), outputs.tolist(), strict=True)
        assert not any(reference.unsafe(list(map(Fraction, x)), list(map(Fraction, y))) for x, y in pairs)


@pytest.mark.parametrize("seed", range(4))
def test_small_networks_are_decided_rightly(seed):
    decided_rightly(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4, 124, 10))
def test_many_small_networks_are_decided_rightly(first):
    for seed in range(first, first + 10):
        decided_rightly(seed)
