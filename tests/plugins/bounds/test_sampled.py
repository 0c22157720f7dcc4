"""Lines of GELU and SiLU over intervals on which they are convex."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inradius import ActivationRule, Operator
from inradius_bounds.rules import by_layer
from inradius_bounds.rules.relax import least_area, smallest_of

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)
KINDS = {"gelu": nn.GELU, "silu": nn.SiLU}


def operator(kind):
    return Operator(kind, KINDS[kind](), by_layer()[KINDS[kind]], torch.Size([1]), torch.Size([1]))


def intervals(op, seed, widest, dtype):
    """Intervals within the bowl, no wider than ``widest``."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.rand(2, 200, 1, generator=generator, dtype=torch.float64)
    width = 2e-3 + (widest - 2e-3) * ends[1]
    low = -op.rule.bowl + ends[0] * (2 * op.rule.bowl - width)
    low, high = low.to(dtype), (low + width).to(dtype)
    return low.clamp(min=-op.rule.bowl), high.clamp(max=op.rule.bowl)


@SETTINGS
@given(
    kind=st.sampled_from([*KINDS]),
    seed=st.integers(0, 10**6),
    widest=st.sampled_from([0.01, 0.1, 0.49]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_lines_lie_on_their_sides_and_are_those_of_least_area(kind, seed, widest, dtype):
    op = operator(kind)
    low, high = intervals(op, seed, widest, dtype)
    floor, ceiling = op.rule.lines(op, low, high)
    z = low.double() + (high.double() - low.double()) * torch.linspace(0, 1, 101, dtype=torch.float64)
    for sign, lines in ((1, floor), (-1, ceiling)):
        for slope, offset in lines:
            assert bool((sign * (op(z) - (slope.double() * z + offset.double())) >= 0).all())
    best, own = least_area(op, low, high)
    named = smallest_of(floor, ceiling, low, high)
    middle = (low + high) / 2
    noise = 1e3 * torch.finfo(dtype).eps
    assert bool(
        (best.lower_slope * middle + best.lower_offset >= named.lower_slope * middle + named.lower_offset - noise).all()
    )
    assert own.parallel
    assert not best.parallel
    # no looser than on a grid, up to rounding
    others = smallest_of(*ActivationRule.lines(op.rule, op, low, high), low, high)
    assert bool(
        (
            best.lower_slope * middle + best.lower_offset >= others.lower_slope * middle + others.lower_offset - noise
        ).all()
    )


@pytest.mark.parametrize("kind", [*KINDS])
def test_the_least_second_derivative_is_no_more_than_any(kind):
    op = operator(kind)
    size = torch.linspace(0, op.rule.bowl, 500, dtype=torch.float64)
    z = (size * torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]).requires_grad_()
    (slope,) = torch.autograd.grad(op(z).sum(), z, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), z)
    assert bool((op.rule.bend(size) / 2 <= bend.amin(0) + 1e-12).all())
    torch.testing.assert_close(op.rule.slope(op, z.detach()), slope.detach())


@SETTINGS
@given(kind=st.sampled_from([*KINDS]), seed=st.integers(0, 10**6))
def test_mates_outside_of_the_bowl_change_no_line(kind, seed):
    op = operator(kind)
    low, high = intervals(op, seed, 0.3, torch.float64)
    alone = op.rule.lines(op, low, high)
    mates = op.rule.lines(op, torch.cat([low, low - 5]), torch.cat([high, high + 5]))
    for mine, its in zip(alone, mates, strict=True):
        for (slope, offset), (other, its_offset) in zip(mine, its, strict=False):
            torch.testing.assert_close(other[: len(low)], slope, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(its_offset[: len(low)], offset, rtol=1e-12, atol=1e-12)
