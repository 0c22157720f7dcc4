"""Softmax: its box and its planes hold in exact arithmetic, at any sharpness, with masks, and without memory for all pairs."""

from decimal import Decimal, localcontext

import pytest
import torch
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius.outcomes.property import Property
from inradius_bounds.lowering.operators import norms

PROOFS = ["interval()", "crown()", "dual()", "alpha(steps=2)"]
NEVER = float("inf")


@pytest.fixture(autouse=True)
def as_one_step(monkeypatch):
    """Softmax of few numbers is made of their differences, which tests of products cover; here it is always one step."""
    monkeypatch.setattr(norms, "_PAIRS", 0)


class Shares(nn.Module):
    """softmax(scale · x + mask), and its sum with other weights where ``weights`` are given."""

    def __init__(self, scale=1.0, mask=None, weights=None):
        super().__init__()
        self.scale, self.mask, self.weights = scale, mask, weights

    def forward(self, x):
        z = self.scale * x
        p = torch.softmax(z if self.mask is None else z + self.mask.to(x.dtype), dim=-1)
        return p if self.weights is None else p @ self.weights.to(x.dtype)


def exact(x, scale, mask):
    """The shares of a vector of numbers in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        z = [Decimal(float(number)) * Decimal(scale) + Decimal(float(add)) for number, add in zip(x, mask, strict=True)]
        powers = [(number - max(z)).exp() if number.is_finite() else Decimal(0) for number in z]
        return [power / sum(powers) for power in powers]


def both_sides(n, count, dtype):
    eye = torch.eye(n, dtype=dtype)
    return Property(torch.cat([eye, -eye]).expand(count, 2 * n, n), torch.zeros(count, 2 * n, dtype=dtype))


@pytest.mark.parametrize(
    ("mask", "scale"),
    in_turn([None, [0.0, -1e9, 0, -3], [0.0, -NEVER, 0, 0]], [2.0**-6, 1.0, 64.0, 2.0**14]),
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_no_bound_is_above_the_exact_shares_of_a_member(dtype, scale, mask):
    mask = None if mask is None else torch.tensor(mask, dtype=torch.float64)
    added = [0.0] * 4 if mask is None else mask.tolist()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    x[2] = x[2].round()
    shares = torch.rand(4, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    shares[:2] = shares[:2].sign()
    for eps in (2.0**-7, 2.0):
        members = [(x + eps * share.to(dtype)) for share in (*shares, torch.zeros(3, 4))]
        truths = [
            (row, [*values, *(-value for value in values)])
            for member in members
            for row in range(3)
            if bool(((member[row].double() - x[row].double()).abs() <= eps).all())
            for values in [exact(member[row], scale, added)]
        ]
        threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
        for spec in PROOFS:
            prop = both_sides(4, 3, dtype)
            proof = inradius.make(spec, Certifier)(Shares(scale, mask), x, None, threat, prop=prop, claim="real")
            safe = proof.lower - proof.error
            assert bool(safe.isfinite().all())
            for row, seen in truths:
                for place, value in enumerate(seen):
                    assert Decimal(float(safe[row, place])) <= value, (spec, eps, place)


def test_the_box_of_the_shares_is_attained_at_corners():
    x = torch.tensor([[0.2, -0.4, 1.0]], dtype=torch.float64)
    threat = inradius.make("linf(eps=0.5, bounds=None)", ThreatModel)
    found = inradius.make("interval()", Certifier)(Shares(), x, None, threat, prop=both_sides(3, 1, x.dtype)).lower
    signs = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5], dtype=torch.float64)] * 3)
    corners = (x + signs).softmax(-1)
    torch.testing.assert_close(found[0], torch.cat([corners.amin(0), -corners.amax(0)]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sharpness", [1.0, 8.0])
def test_bounds_of_weighted_shares_lie_between_the_box_and_the_members(sharpness):
    """Crown's bounds of a mean are never looser than those of the box of the shares."""
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    x = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    model = Shares(sharpness, weights=weights)
    threat, prop = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel), both_sides(2, 6, x.dtype)
    box, crown = (inradius.make(spec, Certifier)(model, x, None, threat, prop=prop).lower for spec in PROOFS[:2])
    moved = x + 0.1 * (torch.rand(400, *x.shape, generator=generator, dtype=x.dtype) * 2 - 1).sign()
    values = model(moved)
    seen = torch.cat([values.amin(0), -values.amax(0)], dim=1)
    assert bool((box - 1e-9 <= crown).all())
    assert bool((crown <= seen + 1e-9).all())
    # a part of the distance between the box and what members reach is gone
    assert float((seen - crown).mean()) < (0.7 if sharpness == 1 else 0.95) * float((seen - box).mean())


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_softmax_along_any_axis_is_that_along_the_last_one(axis):
    class Along(nn.Module):
        def __init__(self, axis, turn):
            super().__init__()
            self.axis, self.turn = axis, turn

        def forward(self, x):
            if self.turn:
                return x.transpose(self.axis, -1).softmax(-1).transpose(self.axis, -1).flatten(1)
            return x.softmax(self.axis).flatten(1)

    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    threat, prop = inradius.make("linf(eps=0.3, bounds=None)", ThreatModel), both_sides(12, 2, x.dtype)
    for spec in PROOFS:
        one, other = (
            inradius.make(spec, Certifier)(Along(axis, turn), x, None, threat, prop=prop).lower
            for turn in (False, True)
        )
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_bounds_of_shares_train():
    """The gradient of a bound in a weight is that of finite differences."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.first(x).softmax(-1))

    net, x = Net().double(), torch.randn(3, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    threat, certifier = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel), inradius.make("crown()", Certifier)
    y = net(x).argmax(1)
    certifier.bound(net, x, y, threat).sum().backward()
    gradient, ends = float(net.first.weight.grad[0, 0]), []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            net.first.weight[0, 0] += step
        ends.append(float(certifier.bound(net, x, y, threat).sum().detach()))
    assert abs(gradient - (ends[0] - ends[1]) / 2e-6) <= 1e-5 * (1 + abs(gradient))
