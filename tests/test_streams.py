"""Random numbers keyed by (seed, example): nothing but the seed, the example and the count of draws matters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inradius import ExampleRNG
from inradius.rng import derive

LAW = settings(derandomize=True, deadline=None, max_examples=50)
SEEDS = st.integers(0, 2**70)
DRAWS = {
    "uniform": lambda rng, shape: rng.uniform(shape),
    "normal": lambda rng, shape: rng.normal(shape),
    "integers": lambda rng, shape: rng.integers(-3, 9, shape),
}


def many(seed=0, count=20_000):
    return ExampleRNG(seed, torch.arange(count))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@LAW
@given(seed=SEEDS, index=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=8), data=st.data())
def test_an_examples_numbers_do_not_depend_on_the_batch(draw, seed, index, data):
    index = torch.tensor(index)
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, len(index) - 1), min_size=1, max_size=8)))
    whole, part = ExampleRNG(seed, index), ExampleRNG(seed, index[chosen])
    for shape in [(), (3,), (2, 2)]:
        assert torch.equal(draw(whole, shape)[chosen], draw(part, shape))


@LAW
@given(seed=SEEDS, before=st.integers(0, 3), mask=st.lists(st.booleans(), min_size=6, max_size=6))
def test_take_keeps_the_streams_aligned(seed, before, mask):
    whole, mask = ExampleRNG(seed, torch.arange(6)), torch.tensor(mask)
    for _ in range(before):
        whole.normal((2,))
    by_mask, by_rows = whole.take(mask), whole.take(mask.nonzero().squeeze(1))
    assert len(by_mask) == int(mask.sum())
    expected = whole.uniform((4,))[mask]
    assert torch.equal(by_mask.uniform((4,)), expected)
    assert torch.equal(by_rows.uniform((4,)), expected)


@LAW
@given(seed=SEEDS, branch=st.integers(0, 1000), drawn=st.integers(0, 3))
def test_fork_depends_on_the_branch_alone_and_commutes_with_take(seed, branch, drawn):
    streams, rows = ExampleRNG(seed, torch.arange(6)), torch.tensor([4, 1])
    expected = streams.fork(branch).uniform((3,))
    for _ in range(drawn):
        streams.uniform()
    assert torch.equal(streams.fork(branch).uniform((3,)), expected)
    assert torch.equal(streams.fork(branch).take(rows).uniform((3,)), expected[rows])
    assert torch.equal(streams.take(rows).fork(branch).uniform((3,)), expected[rows])


def test_advance_stands_for_one_draw():
    drawn, advanced = many(count=5), many(count=5)
    drawn.integers(0, 7, (3,))
    advanced.advance()
    assert torch.equal(drawn.uniform(), advanced.uniform())


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_draws_have_their_distributions(seed):
    from scipy import stats

    assert stats.kstest(many(seed).uniform().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(many(seed).uniform((1, 2))[:, 0, 1].numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(ExampleRNG(seed, torch.tensor([3])).uniform((20_000,))[0].numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(many(seed).normal().numpy(), "norm").pvalue > 1e-3
    assert stats.chisquare(torch.bincount(many(seed).integers(0, 10)).numpy()).pvalue > 1e-3


def test_integers_lie_between_their_bounds():
    drawn = many().integers(-2, 3, (2,))
    assert drawn.dtype == torch.int64
    assert sorted(set(drawn.flatten().tolist())) == [-2, -1, 0, 1, 2]


def test_draws_that_should_be_independent_are_uncorrelated():
    from scipy import stats

    rng = many()
    first, second = rng.uniform(), rng.uniform()
    pairs = {
        "successive draws": (first, second),
        "neighbouring examples": (first[:-1], first[1:]),
        "neighbouring seeds": (first, many(1).uniform()),
        "a fork and its origin": (first, many().fork(0).uniform()),
        "two forks": (many().fork(0).uniform(), many().fork(1).uniform()),
        "a fork of a fork": (many().fork(0).uniform(), many().fork(0).fork(0).uniform()),
        "places in a draw": tuple(many().uniform((2,)).unbind(1)),
    }
    for name, pair in pairs.items():
        # five standard deviations of the correlation of independent numbers
        assert abs(stats.pearsonr(*(side.numpy() for side in pair)).statistic) < 5 / 20_000**0.5, name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_uniform_numbers_are_below_one_in_every_dtype(dtype):
    drawn = many(count=2000).uniform((50,), dtype=dtype)
    assert drawn.dtype == dtype
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.double().mean() - 0.5) < 0.005


def test_seeds_that_agree_in_their_lowest_bits_alone_differ():
    assert not torch.equal(many(7, 10).uniform(), many(7 + 2**32, 10).uniform())


def test_an_empty_batch_draws_nothing():
    assert ExampleRNG(0, torch.arange(0)).normal((3,)).shape == (0, 3)


def test_a_derived_seed_is_a_function_of_all_its_parts():
    parts = [(0, "noise", 1), (0, "noise", 2), (1, "noise", 1), (0, "order", 1), ("0", "noise", 1), (0, "noise")]
    seeds = [derive(*one) for one in parts]
    assert seeds == [derive(*one) for one in parts]
    assert len(set(seeds)) == len(parts)
    assert all(0 <= seed < 2**56 for seed in seeds)
    # the same on every machine, so that a run goes on elsewhere
    assert derive(0, "noise", 1) == 0x273B71B55198DA
