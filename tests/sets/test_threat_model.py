"""What the interface of threat models derives from a few oracles: support, hulls, samples and a radius per example."""

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_sets import Cube

from inradius import ExampleRNG, InputError, PerExample, ThreatModel, UnsupportedError
from inradius.sets.arithmetic.pairing import dual_pairing, summation_error
from inradius.sets.examples import check_finite, expand
from inradius.testing import check_threat_model, laws, sets
from inradius.testing.affine import Matrix

DOUBLE = torch.float64


@attrs.frozen(kw_only=True)
class Loose(Cube):
    """The same set, whose linear_max does not say that it is exact."""

    tight = False


def batch(count=3, *shape, seed=0):
    return ExampleRNG(seed, torch.arange(count)).normal(shape or (2, 2))


def test_a_set_that_gives_the_abstract_oracles_only_keeps_every_law():
    check_threat_model(Cube(eps=0.3), without=[sets.spec_round_trip])


def test_support_is_the_pairing_with_the_maximiser_and_its_outward_error():
    c, x = batch(2, 4, 3), torch.zeros(2, 3, dtype=DOUBLE)
    support = Cube(eps=0.5).support(c, x)
    exact = 0.5 * c.abs().sum(2)
    assert bool((support >= exact).all())
    torch.testing.assert_close(support, exact, rtol=1e-12, atol=0)


def test_support_differentiates_to_the_maximiser():
    c = batch(2, 4, 3).requires_grad_()
    Cube(eps=0.5).support(c, torch.zeros(2, 3, dtype=DOUBLE)).sum().backward()
    torch.testing.assert_close(c.grad, 0.5 * c.detach().sign())


@pytest.mark.parametrize("oracle", ["support", "hull", "bound_affine", "support_bound"])
def test_a_set_whose_linear_max_is_not_exact_has_no_support_by_default(oracle):
    x = torch.zeros(1, 2, dtype=DOUBLE)
    op = Matrix(torch.Size([2]), 3, 0, taps=None, dtype=DOUBLE)
    args = {"hull": (x,), "bound_affine": (op, x)}.get(oracle, (x[None], x))
    with pytest.raises(UnsupportedError, match=r"loose\(\) has no sound support function: .* must override support"):
        getattr(Loose(), oracle)(*args)


def test_hull_and_bounds_are_exact_for_a_cube_in_any_number_of_blocks(monkeypatch):
    x = batch(3, 2, 2)
    op = Matrix(torch.Size([2, 2]), 7, 3, taps=None, dtype=DOUBLE)
    whole = (*Cube(eps=0.2).hull(x), *Cube(eps=0.2).bound_affine(op, x))
    expected = op.interval(x - 0.2, x + 0.2)
    monkeypatch.setattr("inradius.sets.oracles._BLOCK", 1)
    blocks = (*Cube(eps=0.2).hull(x), *Cube(eps=0.2).bound_affine(op, x))
    for one, other in zip(whole, blocks, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(whole[2:], expected)
    torch.testing.assert_close(whole[0], torch.full_like(x, -0.2))


def test_contains_asks_gauge_and_violation():
    class Walled(Cube):
        def violation(self, delta, x):
            return delta.flatten(1).amax(1).clamp(min=0)

    delta = torch.tensor([[0.0, -0.5], [0.5, 0.0], [-1.1, 0.0], [-1.0 - 1e-6, 0.0]])
    assert Walled().contains(delta, delta).tolist() == [True, False, False, True]
    assert Walled().contains(delta, delta, tol=1.0).tolist() == [True, True, True, True]
    assert Cube().contains(delta, delta, tol=0).tolist() == [True, True, False, False]


def test_a_sample_depends_on_the_example_and_not_on_its_batch():
    x = batch(4, 3)
    rng = ExampleRNG(7, torch.tensor([5, 2, 9, 1]))
    together = Cube().sample(x, rng=rng.take(torch.arange(4)))
    alone = torch.cat([Cube().sample(x[i : i + 1], rng=rng.take(torch.tensor([i]))) for i in range(4)])
    torch.testing.assert_close(together, alone)
    assert len(together.unique(dim=0)) == 4


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=4, max_size=4))
def test_a_radius_per_example_answers_for_each_as_the_scaled_set(factors):
    x, delta = torch.zeros(4, 3, dtype=DOUBLE), batch(4, 3)
    each = Cube(eps=0.4).per_example(torch.tensor(factors, dtype=DOUBLE))
    rows = [Cube(eps=0.4).scaled(f).project(delta[i : i + 1], x[:1]) for i, f in enumerate(factors)]
    torch.testing.assert_close(each.project(delta, x), torch.cat(rows))
    mask = torch.tensor([True, False, True, True])
    torch.testing.assert_close(each.select(mask).project(delta[mask], x[mask]), torch.cat(rows)[mask])


def test_a_radius_per_example_keeps_the_properties_that_still_hold():
    each = Cube().per_example(torch.tensor([1.0, 2.0]))
    assert isinstance(each, PerExample)
    assert (each.convex, each.tight, each.symmetric) == (True, True, False)
    assert str(each) == "cube() with a radius per example"
    assert [str(part) for part in each.members()] == [str(each)]


@pytest.mark.parametrize("factors", [[-1.0], [float("nan")], [float("inf")], [[1.0]]])
def test_what_is_no_radius_is_refused(factors):
    with pytest.raises(InputError, match="are not radii; allowed is one finite number ≥ 0 per example"):
        Cube().per_example(torch.tensor(factors))


def test_radii_that_do_not_fit_the_batch_are_refused():
    with pytest.raises(InputError, match="2 radii were given for 3 examples"):
        Cube().per_example(torch.ones(2)).project(torch.zeros(3, 1), torch.zeros(3, 1))


def test_any_other_set_is_its_own_part_and_any_part_of_a_batch_has_the_same_set():
    cube = Cube()
    assert cube.members() == (cube,)
    assert cube.select(torch.tensor([True])) is cube
    assert cube.sketch(torch.zeros(1, 2)) is None


def test_a_set_without_constraints_says_how_it_gets_them():
    class Bare(Cube):
        constraints = ThreatModel.constraints

    with pytest.raises(UnsupportedError, match="a set gets one by overriding constraints"):
        Bare().constraints(None, torch.zeros(2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_inputs_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="input 1 has NaN or infinite values"):
        check_finite(torch.tensor([[0.0, 1.0], [0.0, bad]]))


@given(st.lists(st.floats(-1e8, 1e8, width=32, allow_subnormal=False), min_size=1, max_size=40), st.integers(0, 9))
def test_the_pairing_is_never_below_the_exact_sum(values, seed):
    c = torch.tensor(values, dtype=torch.float32)[None, None]
    delta = ExampleRNG(seed, torch.arange(1)).normal((1, len(values)), dtype=torch.float32)
    exact = (c.double() * delta.double()).sum()
    assert dual_pairing(c, delta).item() >= exact
    assert dual_pairing(c, delta).item() - exact <= 2 * summation_error(c * delta).item() + 1e-30


def test_values_per_example_line_up_with_any_shape():
    assert expand(torch.arange(2), torch.zeros(2, 3, 4)).shape == (2, 1, 1)
    assert expand(torch.arange(2), torch.zeros(2)).shape == (2,)


def test_every_law_of_sets_is_one_sentence_with_a_name_of_its_own():
    found = laws(ThreatModel)
    assert len({law.__name__ for law in found}) == len(found)
    assert all(law.__doc__.split("\n\n")[0].count(". ") == 0 for law in found)
