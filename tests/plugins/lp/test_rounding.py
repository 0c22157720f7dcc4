"""Bounds of the ℓp balls against exact fractions: tiny and huge numbers, and machines that take subnormal numbers for 0."""

import math
from fractions import Fraction

import attrs
import numpy as np
import pytest
import torch
from exact_fractions import (
    BOUNDS,
    DTYPES,
    FLUSH,
    LAWS,
    RADII,
    SEEDS,
    at_least,
    checked,
    enclosed,
    flushing,
    fractions,
    gains,
    inputs,
    laws,
    near,
    numbers,
    room,
    root,
    within_hull,
)
from hypothesis import given
from hypothesis import strategies as st

import inradius
from inradius import ThreatModel
from inradius.sets.arithmetic.sums import amplifier

HUGE = [*RADII, 1e37, 1e39]


def purse(prices, sides, radius):
    """The ℓ1 ball: the radius is spent on the dearest coordinates."""
    value, left = Fraction(0), radius
    for price, cap in sorted(caps(prices, sides), reverse=True):
        value, left = value + price * min(cap, left), left - min(cap, left)
    return value


def caps(prices, sides):
    pairs = ((abs(price), high if price > 0 else -low) for price, (low, high) in zip(prices, sides, strict=True))
    return [(price, cap) for price, cap in pairs if price and cap]


def ray(prices, sides, radius):
    """A number just below the maximum over the ℓ2 ball: coordinates are clipped in the order in which the ray meets the box."""
    pairs = sorted(caps(prices, sides), key=lambda pair: pair[1] / pair[0])
    value, left, free = Fraction(0), radius**2, sum(price**2 for price, _ in pairs)
    for price, cap in pairs:
        if left * price**2 <= cap**2 * free:
            return value + root(left * free)
        value, left, free = value + price * cap, left - cap**2, free - price**2
    return value


EXACT = {"linf": lambda prices, sides, _: sum(gains(prices, sides)), "l2": ray, "l1": purse}


def ball(kind, eps, bounds):
    return attrs.evolve(inradius.make(f"{kind}(1)", ThreatModel), eps=eps, bounds=bounds)


def cell(threat, x):
    return room(fractions(x), threat.bounds, -Fraction(threat.eps), Fraction(threat.eps))


@pytest.mark.parametrize("kind", EXACT)
@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=st.integers(1, 200), bounds=st.sampled_from(BOUNDS), eps=st.sampled_from(HUGE))
def test_balls(kind, name, flush, seed, size, bounds, eps):
    rng, threat = np.random.default_rng(seed), ball(kind, eps, bounds)
    x, c = inputs(rng, name, bounds, size), numbers(rng, name, size)
    sides, radius = cell(threat, x), Fraction(eps)
    found, most = checked(threat, c, x, flush, lambda prices: EXACT[kind](prices, sides, radius))
    if eps < 1e30:
        # where an ℓ2 or ℓ1 ball costs nothing, the room of single coordinates does
        wide = sides if kind == "linf" else [(low - radius, high + radius) for low, high in sides]
        # and so do the squares of a ball that costs next to nothing
        squares = math.sqrt(size * torch.finfo(c.dtype).tiny) / amplifier(c.dtype)
        least = 4 * radius * max(map(abs, fractions(c))) * Fraction(squares) if kind == "l2" else 0
        near(found, most + least, c, wide, bounds)
    if kind == "linf":
        enclosed(threat, x, flush, sides)
    with flushing(flush):
        (low, high), (middle, width, _) = threat.hull(x[None]), threat.sketch(x[None])
    for k, (down, up) in enumerate(sides):
        at_least(high.flatten()[k], up)
        at_least(-low.flatten()[k], -down)
    if kind != "linf":
        assert not bool(middle.any())
        at_least(width.min(), radius if bounds is None else min(radius, max(high - low for low, high in sides)))


@DTYPES
@FLUSH
@LAWS
@given(
    seed=SEEDS,
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    k=st.sampled_from([0, 1, 2, 5, 100]),
    per=st.sampled_from(["pixel", "coordinate"]),
    bounds=st.sampled_from(BOUNDS[:-1]),
)
def test_few_pixels(name, flush, seed, shape, k, per, bounds):
    rng = np.random.default_rng(seed)
    threat = attrs.evolve(inradius.make("l0(1)", ThreatModel), k=float(k), per=per, bounds=bounds)
    x, c = inputs(rng, name, bounds, *shape), numbers(rng, name, *shape)
    sides = room(fractions(x), bounds, Fraction(-(10**9)), Fraction(10**9))

    def best(prices):
        pixels = np.array(gains(prices, sides), dtype=object).reshape(shape)
        pixels = pixels.sum(0) if per == "pixel" else pixels
        return sum(sorted(pixels.flatten().tolist(), reverse=True)[:k], Fraction(0))

    checked(threat, c, x, flush, best)
    within_hull(threat, x, flush, [side if k else (0, 0) for side in sides])


@pytest.mark.parametrize("kind", EXACT)
@DTYPES
@FLUSH
@laws(10)
@given(seed=SEEDS, size=st.integers(3, 30), bounds=st.sampled_from(BOUNDS), eps=st.sampled_from(RADII))
def test_first_layers(kind, name, flush, seed, size, bounds, eps):
    rng, threat = np.random.default_rng(seed), ball(kind, eps, bounds)
    x, radius = inputs(rng, name, bounds, size), Fraction(eps)
    for op in (Rows(rng, name, size, taps=None), Rows(rng, name, size, taps=3)):
        with flushing(flush):
            lower, upper = threat.bound_affine(op, x[None])
        for k, (center, row) in enumerate(zip(fractions(op.center), op.rows, strict=True)):
            prices, sides = fractions(row), cell(threat, x)
            at_least(upper[0, k], center + EXACT[kind](prices, sides, radius))
            at_least(-lower[0, k], EXACT[kind]([-price for price in prices], sides, radius) - center)


class Rows:
    """An affine map whose rows and values at x are given, each row with ``taps`` entries or with all."""

    exact_interval = False

    def __init__(self, rng, name, size, taps):
        self.out_shape = torch.Size([5])
        self.rows, self.center = numbers(rng, name, 5, size), numbers(rng, name, 5)
        self._index = None if taps is None else torch.from_numpy(rng.permuted(np.tile(np.arange(size), (5, 1)), axis=1))
        if taps is not None:
            self._index = self._index[:, :taps]
            self.rows = self.rows * torch.zeros_like(self.rows).scatter(1, self._index, 1)

    def __call__(self, x):
        return self.center[None]

    def unit_rows(self, index, dtype):
        return self.rows[index].to(dtype)

    def local_rows(self):
        if self._index is None:
            return None
        padded = torch.cat([self._index, torch.full((5, 1), -1)], 1)
        return padded, torch.cat([self.rows.gather(1, self._index), torch.ones(5, 1).to(self.rows)], 1)


@DTYPES
@FLUSH
@laws(12)
@given(
    seed=SEEDS, size=st.integers(1, 12), bounds=st.sampled_from(BOUNDS), radii=st.tuples(*[st.sampled_from(RADII)] * 2)
)
@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_intersections_and_unions_with_a_cube(kind, name, flush, seed, size, bounds, radii):
    rng = np.random.default_rng(seed)
    members = ball("linf", radii[0], bounds), ball(kind, radii[1], bounds)
    x, c = inputs(rng, name, bounds, size), numbers(rng, name, size)
    cube, sides = cell(members[0], x), cell(members[1], x)
    both = attrs.evolve(inradius.make("intersection(linf(1), linf(1))", ThreatModel), sets=members)
    # a ball in a smaller box is the same ball with less room
    held = [(max(a, b), min(d, e)) for (a, d), (b, e) in zip(cube, sides, strict=True)]
    checked(both, c, x, flush, lambda prices: EXACT[kind](prices, held, Fraction(radii[1])))
    either = attrs.evolve(inradius.make("union(linf(1), linf(1))", ThreatModel), sets=members)
    checked(either, c, x, flush, lambda p: max(sum(gains(p, cube)), EXACT[kind](p, sides, Fraction(radii[1]))))


@FLUSH
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("size", [1e-45, 1e-39, 1e-30, 1e-22, 1.0, 1e22, 1e30, 3e38])
def test_directions_of_every_size_have_a_bound(kind, bounds, size, flush):
    threat, rng = ball(kind, 0.3, bounds), np.random.default_rng(0)
    x = torch.from_numpy(rng.random((1, 16))).float()
    c = (torch.from_numpy(rng.choice([-1, 1, 0.5], (1, 3, 16))) * size).float()
    with flushing(flush):
        value, (low, high), nothing = threat.support(c, x), threat.span(c, x), threat.support(torch.zeros_like(c), x)
    assert not bool(value.isnan().any() | low.isnan().any() | high.isnan().any())
    assert bool((low < 0).all() & (high > 0).all() & (value > 0).all())
    assert not bool(nothing.any())
    for k in range(3):
        at_least(value[0, k], EXACT[kind](fractions(c[0, k]), cell(threat, x), Fraction(0.3)))


@FLUSH
@pytest.mark.parametrize("name", ["support", "support_bound"])
def test_squares_that_underflow_in_a_length_are_not_lost(name, flush):
    # the first coordinate has hardly any room, and the second, nearly 0 beside it, makes up the length
    threat, x, c = ball("l2", 0.25, (0.0, 1.0)), torch.tensor([[1e-36, 0.5]]), torch.tensor([[[-1.0, 1e-36]]])
    with flushing(flush):
        value = getattr(threat, name)(c, x)
    at_least(value, ray(fractions(c), cell(threat, x), Fraction(0.25)))


@pytest.mark.parametrize("kind", EXACT)
def test_a_radius_beyond_the_type_has_an_infinite_bound(kind):
    threat, x = ball(kind, 1e39, None), torch.zeros(1, 3)
    c = torch.tensor([[[1e-30, 0.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 2.0, 0.0]]])
    assert threat.support(c, x).tolist() == [[math.inf, 0.0, math.inf]]
    assert threat.span(c, x)[0].tolist() == [[-math.inf, 0.0, -math.inf]]
    assert [side.tolist() for side in threat.hull(x)] == [[[-math.inf] * 3], [[math.inf] * 3]]


@FLUSH
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize(
    "types", [(torch.float32, torch.float64), (torch.float64, torch.float32), (torch.float16,) * 2]
)
@pytest.mark.parametrize("size", [1.0, 1e-39])
def test_directions_and_inputs_of_different_types(kind, types, size, flush):
    threat, rng = ball(kind, 0.1, (0.0, 1.0)), np.random.default_rng(0)
    c = torch.from_numpy(rng.normal(size=(1, 50, 16)) * size).to(types[0])
    x = torch.from_numpy(rng.random((1, 16)) * size).to(types[1])
    with flushing(flush):
        value = threat.support(c, x)
    assert value.dtype == types[0]
    for k in range(50):
        at_least(value[0, k], EXACT[kind](fractions(c[0, k]), cell(threat, x), Fraction(0.1)))
