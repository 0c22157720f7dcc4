"""Bounds of the oracles against exact fractions: tiny and huge numbers, and machines that take subnormal numbers for 0."""

import math
import tempfile
from contextlib import contextmanager
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
from inradius.sets.arithmetic.outward import above, below, raised_product, raised_sum
from inradius.sets.arithmetic.pairing import dual_pairing
from inradius.sets.arithmetic.precision import upward
from inradius.sets.arithmetic.products import Rows
from inradius.sets.arithmetic.sums import added
from inradius.sets.intersecting.shares import _rounding

# Sums


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=st.integers(1, 200))
def test_the_default_support_is_above_the_exact_pairing(name, flush, seed, size):
    rng = np.random.default_rng(seed)
    c, delta = numbers(rng, name, size), numbers(rng, name, size, top=5)
    with flushing(flush):
        value = dual_pairing(c[None, None], delta[None, None])
    at_least(value, sum(a * b for a, b in zip(fractions(c), fractions(delta), strict=True)))
    if not bool((c * delta).any()) and not flush:
        assert float(value) <= 4 * size * torch.finfo(c.dtype).tiny * (2 + c.abs().max() + delta.abs().max())


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=st.integers(1, 200), count=st.sampled_from([2, 6]))
def test_sums_are_within_their_error(name, flush, seed, size, count):
    rng = np.random.default_rng(seed)
    c, rows = numbers(rng, name, size, top=10), numbers(rng, "float64", count, size, top=10)
    with flushing(flush):
        value, error = Rows(rows, c.dtype).paired(c[None, None])
        terms = (c * rows[0].to(c)).clamp(-1e30, 1e30)
        total, width = added(terms, roundings=0)
    for k in range(count):
        exact = sum(a * b for a, b in zip(fractions(c), fractions(rows[k]), strict=True))
        if math.isfinite(float(error[0, 0, k])):
            assert abs(Fraction(float(value[0, 0, k])) - exact) <= Fraction(float(error[0, 0, k]))
    assert abs(Fraction(float(total)) - sum(fractions(terms))) <= Fraction(float(width))


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS)
def test_sums_and_products_of_two_are_rounded_up(name, flush, seed):
    rng = np.random.default_rng(seed)
    a, b = numbers(rng, name, 40), numbers(rng, name, 40)
    b = torch.where(torch.from_numpy(rng.random(40)) < 0.3, -a, b)
    wide = a.double() * 1.0000000001
    wide = torch.where(wide.abs() < torch.finfo(torch.float64).tiny, 0, wide)
    with flushing(flush):
        total, product = raised_sum(a, b), raised_product(a.abs(), b.abs())
        narrow = upward(wide, torch.float32)
    for value, x, y in zip(total, fractions(a), fractions(b), strict=True):
        at_least(value, x + y)
    for value, x, y in zip(product, fractions(a), fractions(b), strict=True):
        at_least(value, abs(x * y))
    for value, x in zip(narrow, fractions(wide), strict=True):
        at_least(value, x)


def test_an_exact_sum_stays_exact():
    a, b = torch.tensor([1.0, 0.5, 0.3, 0.0, 3e38]), torch.tensor([0.5, -0.5, 0.0, 0.0, 3e38])
    assert raised_sum(a, b).tolist() == [1.5, 0.0, a[2].item(), 0.0, math.inf]
    assert raised_sum(-a, -b)[4] == torch.finfo(torch.float32).min


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("number", [0.0, 1e-320, 1e-45, 1e-40, 0.1, -0.1, -1e-40, 1.0, 1e39, -1e39, 1e308, math.inf])
def test_numbers_are_rounded_up_to_what_no_kernel_flushes(number, dtype):
    found, info = above(number, dtype), torch.finfo(dtype)
    assert found >= number
    assert found == 0 or abs(found) >= info.tiny
    assert math.isinf(found) or torch.tensor(found, dtype=dtype).item() == found
    assert found - number <= max(abs(number) * info.eps, info.tiny) or abs(number) > info.max
    assert below(-number, dtype) == -found


# Boxes and patches


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=st.integers(1, 200), bounds=st.sampled_from(BOUNDS), scale=st.sampled_from(RADII))
def test_boxes(name, flush, seed, size, bounds, scale):
    rng = np.random.default_rng(seed)
    lo, hi = (float(v) for v in rng.choice([0.0, 0.1, 1 / 3, 1.0, 1e-12], 2))
    threat = inradius.make("box(0, 0)", ThreatModel)
    threat = attrs.evolve(threat, lo=-lo, hi=hi, scale=scale, bounds=bounds)
    x, c = inputs(rng, name, bounds, size), numbers(rng, name, size)
    sides = room(fractions(x), bounds, -Fraction(lo) * Fraction(scale), Fraction(hi) * Fraction(scale))
    found, most = checked(threat, c, x, flush, lambda prices: sum(gains(prices, sides)))
    near(found, most, c, sides, bounds)
    enclosed(threat, x, flush, sides)


@DTYPES
@FLUSH
@laws(12)
@given(
    seed=SEEDS,
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    window=st.integers(1, 3),
    bounds=st.sampled_from(BOUNDS),
    eps=st.sampled_from(RADII),
)
def test_patches(name, flush, seed, shape, window, bounds, eps):
    rng = np.random.default_rng(seed)
    threat = attrs.evolve(inradius.make("patch(1)", ThreatModel), size=window, eps=eps, bounds=bounds)
    x, c = inputs(rng, name, bounds, *shape), numbers(rng, name, *shape)
    sides = room(fractions(x), bounds, -Fraction(eps), Fraction(eps))

    def best(prices):
        images = np.array(gains(prices, sides), dtype=object).reshape(shape).sum(0)
        height, width = (min(window, side) for side in shape[1:])
        places = np.ndindex(shape[1] - height + 1, shape[2] - width + 1)
        return max(images[a : a + height, b : b + width].sum() for a, b in places)

    checked(threat, c, x, flush, best)
    within_hull(threat, x, flush, sides)


# Shifts along directions


@DTYPES
@FLUSH
@laws(15)
@given(
    seed=SEEDS,
    basis=st.sampled_from(["brightness", "colour", "ramps", "disjoint", "orthogonal"]),
    norm=st.sampled_from(["inf", "2"]),
    boxed=st.booleans(),
    eps=st.sampled_from(RADII),
    shape=st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(2, 7)),
)
def test_shifts(name, flush, seed, basis, norm, boxed, eps, shape):
    rng = np.random.default_rng(seed)
    bounds = (0.0, 1.0) if boxed and norm == "inf" and basis in ("brightness", "colour", "disjoint") else None
    with based(rng, basis, shape) as held:
        threat = inradius.make("affine('colour', 1)", ThreatModel)
        threat = attrs.evolve(threat, basis=held, eps=eps, order=norm, bounds=bounds)
        x, c = inputs(rng, name, bounds, *shape), numbers(rng, name, *shape)
        rows, radius = [fractions(row) for row in threat._rows(x[None])], Fraction(eps)
        limits = shifts(rows, fractions(x), bounds, radius)

        def best(prices):
            pairings = [sum(a * b for a, b in zip(prices, row, strict=True)) for row in rows]
            if norm == "2":
                return radius * root(sum(p * p for p in pairings))
            return sum(gains(pairings, limits))

        checked(threat, c, x, flush, best)
        with flushing(flush):
            low, high = threat.hull(x[None])
    for k, column in enumerate(zip(*rows, strict=True)):
        if norm == "2":
            down = up = radius * root(sum(v * v for v in column))
        else:
            down, up = sum(gains([-v for v in column], limits)), sum(gains(column, limits))
        at_least(high.flatten()[k], up)
        at_least(-low.flatten()[k], down)


@DTYPES
@FLUSH
@laws(12)
@given(seed=SEEDS, eps=st.sampled_from(RADII), shape=st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(2, 4)))
def test_limits_of_shifts_are_rounded_outward(name, flush, seed, eps, shape):
    rng = np.random.default_rng(seed)
    with based(rng, "disjoint", shape) as held:
        threat = inradius.make("affine('colour', 1)", ThreatModel)
        threat = attrs.evolve(threat, basis=held, eps=eps, bounds=(0.0, 1.0))
        x = inputs(rng, name, (0.0, 1.0), *shape)
        rows = threat._rows(x[None])
        with flushing(flush):
            low, high = threat._outer_limits(x[None], rows)
        exact = shifts([fractions(row) for row in rows], fractions(x), (0.0, 1.0), Fraction(eps))
    for k, (down, up) in enumerate(exact):
        at_least(high.flatten()[k], up)
        at_least(-low.flatten()[k], -down)


@contextmanager
def based(rng, basis, shape):
    """A basis by its name, or as a file of directions that share no number, of all sizes, or are orthogonal."""
    if basis not in ("disjoint", "orthogonal"):
        yield basis
        return
    count = 3
    rows = np.linalg.qr(rng.normal(size=(math.prod(shape), count)))[0].T
    if basis == "disjoint":
        sizes = 10.0 ** rng.uniform(-30, 5, (count, 1))
        rows = (
            rng.normal(size=rows.shape) * sizes * (rng.integers(count, size=rows.shape[1]) == np.arange(count)[:, None])
        )
        rows[:, 0] = [1, 0, 0]
        rows[:, 1:3] = [[0, 0], [1 / 3, 0], [0, 1e-40]]
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/rows.npy"
        np.save(file, rows.reshape(count, *shape))
        yield file


def shifts(rows, x, bounds, eps):
    """How far the coefficient of each direction may go, by itself."""
    limits = []
    for row in rows:
        sides = room(x, bounds, -(10**400), 10**400)
        ends = [sorted((low / v, high / v)) for v, (low, high) in zip(row, sides, strict=True) if v]
        limits.append((max([-eps, *(low for low, _ in ends)]), min([eps, *(high for _, high in ends)])))
    return limits


# Intersections and unions


@DTYPES
@FLUSH
@laws(12)
@given(seed=SEEDS, size=st.integers(1, 12), bounds=st.sampled_from(BOUNDS), eps=st.sampled_from(RADII))
def test_intersections_and_unions_of_boxes(name, flush, seed, size, bounds, eps):
    rng = np.random.default_rng(seed)
    lows, highs = ([Fraction(float(v)) for v in rng.choice([0.0, 0.1, 1 / 3, 1.0, 1e-12], 2)] for _ in range(2))
    box = inradius.make("box(0, 0)", ThreatModel)
    members = [
        attrs.evolve(box, lo=-float(low), hi=float(high), scale=eps, bounds=bounds)
        for low, high in zip(lows, highs, strict=True)
    ]
    x, c, radius = inputs(rng, name, bounds, size), numbers(rng, name, size), Fraction(eps)
    each = [room(fractions(x), bounds, -low * radius, high * radius) for low, high in zip(lows, highs, strict=True)]
    held = [(max(a, b), min(d, e)) for (a, d), (b, e) in zip(*each, strict=True)]
    wide = [(min(a, b), max(d, e)) for (a, d), (b, e) in zip(*each, strict=True)]
    both = inradius.make("intersection(box(0, 0), box(0, 0))", ThreatModel)
    either = inradius.make("union(box(0, 0), box(0, 0))", ThreatModel)
    for threat, sides in ((attrs.evolve(both, sets=members), held), (attrs.evolve(either, sets=members), wide)):
        if threat.members() == (threat,):
            checked(threat, c, x, flush, lambda prices: sum(gains(prices, held)))
        else:
            checked(threat, c, x, flush, lambda prices: max(sum(gains(prices, part)) for part in each))
        within_hull(threat, x, flush, sides)


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, size=st.integers(1, 30))
def test_what_rounding_leaves_of_a_split_is_paid_for(name, flush, seed, size):
    rng = np.random.default_rng(seed)
    c, first = numbers(rng, name, size, top=10), numbers(rng, name, size, top=10)
    reach = numbers(rng, name, size, top=3).abs().clamp(min=torch.finfo(c.dtype).tiny)
    with flushing(flush):
        rest = c - first
        paid = _rounding([rest[None, None], first[None, None]], (-reach[None], reach[None]))
    lacking = [abs(a - b - d) for a, b, d in zip(*(fractions(part) for part in (c, rest, first)), strict=True)]
    at_least(paid, sum(a * b for a, b in zip(lacking, fractions(reach), strict=True)))


# Wasserstein balls


def dearest(threat, prices, x, budget):
    """max ⟨c, δ⟩ in exact arithmetic, by the price of the budget: its least value is where a source changes its mind."""
    moves, pixels = threat.moves(torch.zeros(1, 1, *x.shape[1:], dtype=torch.float64)), x[0].numel()
    mass, offers = fractions(x), []
    for channel in range(len(x)):
        for pixel in range(pixels):
            first = channel * pixels
            valid = [j for j in range(moves.target.shape[1]) if bool(moves.valid[pixel, j])]
            worth = [prices[first + int(moves.target[pixel, j])] - prices[first + pixel] for j in valid]
            cost = [Fraction(float(moves.cost[pixel, j])) for j in valid]
            offers.append((mass[first + pixel], list(zip(worth, cost, strict=True))))
    offers = [(amount, hull) for amount, hull in offers if amount]
    breaks = {Fraction(0)}
    for _, options in offers:
        best = {}
        for gain, cost in options:
            best[cost] = max(gain, best.get(cost, gain))
        points = list(best.items())
        for k, (cost, gain) in enumerate(points):
            breaks |= {(gain - other) / (cost - paid) for paid, other in points[:k] if paid != cost}
    candidates = sorted(price for price in breaks if price >= 0)

    def value(price):
        return price * budget + sum(amount * max(g - price * cost for g, cost in options) for amount, options in offers)

    # convex in the price
    first, last = 0, len(candidates) - 1
    while first < last:
        middle = (first + last) // 2
        if value(candidates[middle]) <= value(candidates[middle + 1]):
            last = middle
        else:
            first = middle + 1
    return value(candidates[first])


COSTS = [{}, {"kernel": 3}, {"kernel": 3, "p": 2.0}, {"kernel": None}, {"kernel": 3, "p": 0.5}]


def transported(rng, name, *shape):
    """Images of pixels ≥ 0, some of them tiny."""
    return numbers(rng, name, *shape, top=8).abs()


@DTYPES
@FLUSH
@laws(6)
@given(
    seed=SEEDS,
    options=st.sampled_from(COSTS),
    absolute=st.booleans(),
    eps=st.sampled_from(RADII),
    shape=st.sampled_from([(1, 1, 2), (1, 3, 3), (2, 2, 3), (1, 4, 4)]),
)
def test_wasserstein_balls(name, flush, seed, options, absolute, eps, shape):
    rng = np.random.default_rng(seed)
    threat = attrs.evolve(inradius.make("wasserstein(1)", ThreatModel), eps=eps, **options)
    threat = attrs.evolve(threat, mass="absolute") if absolute else threat
    x, c = transported(rng, name, *shape), numbers(rng, name, *shape, top=25)
    budget = Fraction(eps) * (1 if absolute else sum(fractions(x)))
    checked(threat, c, x, flush, lambda prices: dearest(threat, prices, x, budget))
    with flushing(flush):
        low, high = threat.hull(x[None])
    unit = [Fraction(0)] * c.numel()
    for k in range(c.numel()):
        for side, sign in ((high, 1), (-low, -1)):
            at_least(side.flatten()[k], dearest(threat, [*unit[:k], Fraction(sign), *unit[k + 1 :]], x, budget))


@FLUSH
@pytest.mark.parametrize("ends", [(1e6, 1e-36), (2e-38, 5e-39), (1.0, 1e-38)])
def test_gains_that_underflow_beside_others_are_not_lost(ends, flush):
    threat = inradius.make("wasserstein(1, cost=((1e-9, 0, 1e-9),), mass='absolute')", ThreatModel)
    x, c = torch.zeros(1, 1, 6), torch.zeros(1, 1, 6)
    x[..., 4], c[..., 0], c[..., 5] = 1e8, *ends
    checked(threat, c, x, flush, lambda prices: dearest(threat, prices, x, Fraction(1)))


@DTYPES
@FLUSH
@LAWS
@given(seed=SEEDS, eps=st.sampled_from(RADII), size=st.integers(1, 60))
def test_budgets_are_rounded_up(name, flush, seed, eps, size):
    threat = attrs.evolve(inradius.make("wasserstein(1)", ThreatModel), eps=eps)
    x = transported(np.random.default_rng(seed), name, 1, 1, size)
    with flushing(flush):
        budgets = [each.outer_budgets(x[None]) for each in (threat, threat.per_example(torch.ones(1)))]
    for budget in budgets:
        at_least(budget, Fraction(eps) * sum(fractions(x)))


@DTYPES
@FLUSH
@laws(4)
@given(seed=SEEDS, eps=st.sampled_from(RADII), cap=st.sampled_from([1.0, 0.3, 1e-30]))
def test_wasserstein_balls_with_a_cap(name, flush, seed, eps, cap):
    rng = np.random.default_rng(seed)
    threat = attrs.evolve(inradius.make("wasserstein(1)", ThreatModel), eps=eps, bounds=(0.0, cap))
    x, c = inputs(rng, name, (0.0, cap), 1, 1, 2), numbers(rng, name, 1, 1, 2, top=25)
    first, second = fractions(x)
    budget = Fraction(eps) * (first + second)

    def best(prices):
        forth = min(first, budget, max(Fraction(cap) - second, 0)) * (prices[1] - prices[0])
        back = min(second, budget, max(Fraction(cap) - first, 0)) * (prices[0] - prices[1])
        return max(forth, back, 0)

    checked(threat, c, x, flush, best)
    with flushing(flush):
        low, high = threat.hull(x[None])
    for k, (down, up) in enumerate(((first, second), (second, first))):
        at_least(high.flatten()[k], min(up, budget, max(Fraction(cap) - down, 0)))
        at_least(-low.flatten()[k], min(down, budget, max(Fraction(cap) - up, 0)))


@DTYPES
@FLUSH
@laws(6)
@given(seed=SEEDS, options=st.sampled_from(COSTS), eps=st.sampled_from(RADII))
def test_first_layers_on_wasserstein_balls(name, flush, seed, options, eps):
    rng = np.random.default_rng(seed)
    threat = attrs.evolve(inradius.make("wasserstein(1)", ThreatModel), eps=eps, **options)
    x, op = transported(rng, name, 1, 3, 4), Filters(rng, name)
    with flushing(flush):
        lower, upper = (side.flatten() for side in threat.bound_affine(op, x[None]))
    budget = Fraction(eps) * sum(fractions(x))
    for k, (center, row) in enumerate(zip(fractions(op.center), op.rows(), strict=True)):
        at_least(upper[k], center + dearest(threat, fractions(row), x, budget))
        at_least(-lower[k], dearest(threat, fractions(-row), x, budget) - center)


class Filters:
    """A convolution of images (1, 3, 4) with 2 × 2 filters, padded to outputs (2, 2, 5), whose values at x are given."""

    out_shape, exact_interval = torch.Size([2, 2, 5]), True

    def __init__(self, rng, name):
        self.weights, self.center = numbers(rng, name, 2, 1, 2, 2, top=20), numbers(rng, name, 2, 2, 5, top=20)

    def __call__(self, x):
        return self.center[None]

    def filters(self, like):
        return self.weights.to(like), (2, 5), (1, 1), (0, 1)

    def rows(self):
        for place in np.ndindex(2, 2, 5):
            row = torch.zeros(3, 6, dtype=self.weights.dtype)
            row[place[1] : place[1] + 2, place[2] : place[2] + 2] = self.weights[place[0], 0]
            yield row[:, 1:5][None]

    def unit_rows(self, index, dtype):
        rows = torch.stack([*self.rows()]).to(dtype)
        return rows[index]

    def local_rows(self):
        return None


# Known cases


@FLUSH
@pytest.mark.parametrize(
    "spec",
    ["box(-0.1, 0.1)", "box(-0.1, 0.1, bounds=None)", "patch(2, eps=0.1)", "affine('colour', 0.1)", "wasserstein(0.1)"],
)
@pytest.mark.parametrize("size", [1e-45, 1e-39, 1e-30, 1e-22, 1e-10, 1.0, 1e22, 1e30, 3e38])
def test_directions_of_every_size_have_a_bound(spec, size, flush):
    threat = inradius.make(spec, ThreatModel)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((1, 1, 4, 4))).float()
    c = (torch.from_numpy(rng.choice([-1, 1, 0.5], (1, 3, 1, 4, 4))) * size).float()
    with flushing(flush):
        value = threat.support(c, x)
        (low, high), nothing = threat.span(c, x), threat.support(torch.zeros_like(c), x)
    truth = (c.double() * threat.linear_max(c[:, 0], x)[:, None].double()).flatten(2).sum(2)[0, 0]
    assert value[0, 0].double() >= truth * (1 - 1e-6)
    assert not bool(value.isnan().any() | low.isnan().any() | high.isnan().any())
    assert bool((low < 0).all() & (high > 0).all() & (value > 0).all())
    assert not bool(nothing.any())


def test_a_row_that_is_lost_in_a_shorter_type_is_an_error():
    c, rows = torch.tensor([[[1e30, 0.0]]]), torch.tensor([[1e-42, 1.0]], dtype=torch.float64)
    with flushing(True):
        value, error = Rows(rows, c.dtype).paired(c)
    assert abs(Fraction(float(value)) - Fraction(1e-42) * Fraction(float(c[0, 0, 0]))) <= Fraction(float(error))


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_what_overflows_on_both_sides_has_an_infinite_bound(norm):
    threat, c = (
        inradius.make(f"affine('brightness', 1, order='{norm}')", ThreatModel),
        torch.full((1, 1, 1, 4, 4), 3e38),
    )
    c[..., 2:, :] *= -1
    assert threat.support(c, torch.zeros(1, 1, 4, 4)).tolist() == [[math.inf]]


@pytest.mark.parametrize("spec", ["box(-0.1, 0.1)", "patch(2, eps=0.1)", "affine('colour', 0.1)", "wasserstein(0.1)"])
def test_where_bounds_overflow_gradients_are_finite(spec):
    threat = inradius.make(spec, ThreatModel)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((1, 1, 4, 4))).float() * 1e3
    x = x if spec.startswith("wasserstein") else x / 1e3
    c = torch.from_numpy(rng.normal(size=(1, 2, 1, 4, 4)) * 1e38).float().clamp(-3e38, 3e38).requires_grad_()
    value = threat.support(c, x)
    assert not bool(value.isnan().any())
    (gradient,) = torch.autograd.grad(value.sum(), c)
    assert bool(gradient.isfinite().all())


@FLUSH
@pytest.mark.parametrize("spec", ["box(-0.1, 0.2)", "patch(2, eps=0.1)", "affine('colour', 0.1)", "wasserstein(0.1)"])
@pytest.mark.parametrize(
    "types", [(torch.float32, torch.float64), (torch.float64, torch.float32), (torch.float16,) * 2]
)
@pytest.mark.parametrize("size", [1.0, 1e-39])
def test_directions_and_inputs_of_different_types(spec, types, size, flush):
    threat = inradius.make(spec, ThreatModel)
    rng = np.random.default_rng(0)
    c = torch.from_numpy(rng.normal(size=(1, 50, 1, 4, 4)) * size).to(types[0])
    x = torch.from_numpy(rng.random((1, 1, 4, 4)) * size).to(types[1])
    exact = threat.support(c.double(), x.double())
    with flushing(flush):
        value = threat.support(c, x)
    assert value.dtype == types[0]
    # the precise bound is above the truth by rounding of its own
    assert bool((value.double() >= exact * (1 - 1e-13)).all())
