"""Bounds of the oracles against exact fractions: numbers of every size, and machines that take subnormal numbers for 0."""

import math
import os
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st

from inradius.sets.arithmetic.outward import below

NIGHTLY = os.environ.get("INRADIUS_HYPOTHESIS_PROFILE") == "nightly"


def laws(examples):
    """The settings of a law: so many cases, which are the same in each run; at night many more, at random."""
    return settings(max_examples=examples * (60 if NIGHTLY else 1), deadline=None, derandomize=not NIGHTLY)


LAWS = laws(12)
FLUSH = pytest.mark.parametrize("flush", [False, True], ids=["subnormal", "flushed"])
TYPES = {"float32": (torch.float32, -45, 30), "float64": (torch.float64, -323, 300)}
DTYPES = pytest.mark.parametrize("name", TYPES)
RADII = [0.0, 1e-40, 1e-30, 1e-5, 0.03, 0.1, 1 / 3, 1.0, 1e5, 1e20]
BOUNDS = [(0.0, 1.0), (0.0, 1.0), (0.1, 0.7), (-1.0, 1.0), (0.0, 1e-30), None]
SEEDS = st.integers(0, 2**32 - 1)


@contextmanager
def flushing(flush=True):
    """A context in which subnormal numbers count as 0, going in and coming out; with False they keep their values."""
    try:
        assert torch.set_flush_denormal(flush)
        yield
    finally:
        torch.set_flush_denormal(False)


def numbers(rng, name, *shape, top=None):
    """Numbers of one size or of all sizes, with zeros, ties and subnormal ones; their sizes are below ``top``."""
    dtype, low, high = TYPES[name]
    high = high if top is None else top
    kind, plain = rng.integers(5), rng.normal(size=shape)
    size = 10.0 ** rng.uniform(low, high)
    if kind == 0:
        values = plain * 10.0 ** rng.uniform(low, high, shape)
    elif kind == 1:
        values = np.round(plain) * size
    else:
        values = plain * (1.0 if kind == 2 else size)
    values = values * (rng.random(shape) > rng.choice([0.0, 0.5, 0.95]))
    return torch.from_numpy(np.asarray(values)).to(dtype)


def inputs(rng, name, bounds, *shape):
    """Inputs within bounds: on their faces, a unit away from them, tiny, and anywhere."""
    dtype = TYPES[name][0]
    if bounds is None:
        return numbers(rng, name, *shape, top=10)
    low, high = below(bounds[0], torch.float64), bounds[1]
    inner = torch.from_numpy(low + (high - low) * rng.random(shape)).to(dtype)
    tiny = low + numbers(rng, name, *shape, top=-30).abs()
    faces = [torch.full(shape, value, dtype=dtype) for value in (low, high)]
    near = torch.nextafter(faces[1], faces[0])
    choices = torch.stack([inner, tiny.to(dtype), *faces, near])
    which = torch.from_numpy(rng.choice(5, shape, p=rng.dirichlet(np.ones(5))))
    return choices.gather(0, which[None])[0].clamp(bounds[0], bounds[1])


def fractions(values):
    return [Fraction(value) for value in values.double().flatten().tolist()]


def root(value):
    """A number just below √value, to 200 bits."""
    shift = 200 + max(0, value.denominator.bit_length() - value.numerator.bit_length())
    return Fraction(math.isqrt((value.numerator << 2 * shift) // value.denominator), 1 << shift)


def room(x, bounds, low, high):
    """The room of each coordinate within bounds and between low ≤ 0 ≤ high."""
    if bounds is None:
        return [(low, high)] * len(x)
    least, most = map(Fraction, bounds)
    return [(max(min(least - v, 0), low), min(max(most - v, 0), high)) for v in x]


def gains(c, sides):
    return [max(price * low, price * high) for price, (low, high) in zip(c, sides, strict=True)]


def at_least(value, truth):
    """value ≥ truth in exact arithmetic; no NaN."""
    value = float(value)
    assert not math.isnan(value)
    assert value == math.inf or Fraction(value) >= truth, (value, float(truth), float(Fraction(value) - truth))


def checked(threat, c, x, flush, truth):
    """support, support_bound and span of one direction c (*S) around x (*S) against a function of fractions."""
    with flushing(flush):
        asked = c[None, None], x[None]
        up, cheap, (down, side) = threat.support(*asked), threat.support_bound(*asked), threat.span(*asked)
        again = threat.per_example(torch.ones(1)).support(*asked)
    prices = fractions(c)
    most = truth(prices)
    for value in (up, cheap, side, again):
        at_least(value, most)
    at_least(-down, truth([-price for price in prices]))
    return float(up), most


def near(found, most, c, sides, bounds):
    """A bound that underflow and overflow do not touch is above the truth by rounding, also that of the bounds."""
    info, size, reach = torch.finfo(c.dtype), c.numel(), max([1, *(high - low for low, high in sides)])
    if most < Fraction(info.max) / 10:
        length, few = sum(map(abs, fractions(c))), Fraction(info.tiny)
        rounded = 2 * Fraction(max(map(abs, bounds))) * length if bounds else 0
        slack = Fraction(info.eps) * (most * (20 + 2 * math.isqrt(size)) + rounded)
        assert Fraction(found) <= most + slack + 20 * size * reach * few + 2 * length * few


def within_hull(threat, x, flush, sides):
    """The hull of a set around x (*S) holds the exact sides of each coordinate, pairs (low, high)."""
    with flushing(flush):
        low, high = threat.hull(x[None])
    for k, (down, up) in enumerate(sides):
        at_least(high.flatten()[k], up)
        at_least(-low.flatten()[k], -down)


def enclosed(threat, x, flush, sides):
    """hull, sketch and the box of a first layer hold the exact room."""
    boxes = []

    class Identity:
        out_shape, exact_interval = x.shape, True

        def interval(self, lower, upper):
            boxes.append((lower, upper))
            return lower, upper

    with flushing(flush):
        (low, high), (middle, half, order) = threat.hull(x[None]), threat.sketch(x[None])
        threat.bound_affine(Identity(), x[None])
    (lower, upper), rows = boxes[0], fractions(x)
    assert order == 1
    for k, (down, up) in enumerate(sides):
        at_least(high.flatten()[k], up)
        at_least(-low.flatten()[k], -down)
        at_least(upper.flatten()[k], rows[k] + up)
        at_least(-lower.flatten()[k], -rows[k] - down)
        center, width = float(middle.flatten()[k]), float(half.flatten()[k])
        assert width == math.inf or Fraction(center) + Fraction(width) >= up
        assert width == math.inf or Fraction(center) - Fraction(width) <= down
