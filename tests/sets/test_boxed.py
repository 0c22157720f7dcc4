"""Sets within the box of valid inputs, from their norm or from their oracles without the box."""

import attrs
import pytest
import torch

import inradius
from inradius import Attack, BoxedNorm, BoxedSet, Certifier, InputError, ThreatModel
from inradius.testing import check_threat_model, laws
from inradius.testing.sets import members_lie_below_support

# what needs no name in the registry
LAWS = [law for law in laws(ThreatModel) if law.__name__ not in ("spec_round_trip",)]


@attrs.frozen(kw_only=True)
class Round(BoxedNorm):
    """The ℓ2 ball, as a stranger writes it."""

    def length(self, delta):
        return delta.flatten(1).norm(dim=1)

    dual_length = length

    def project_unboxed(self, delta, x):
        length = self.length(delta).view(-1, *(1,) * (delta.ndim - 1))
        return torch.where(length > self.eps, delta * (self.eps / length), delta)


@attrs.frozen(kw_only=True)
class Even(BoxedSet):
    """Every number moves by the same amount, at most eps up and eps / 2 down."""

    def project_unboxed(self, delta, x):
        return _mean(delta).clamp(-self.eps / 2, self.eps)

    def linear_max_unboxed(self, c, x):
        total = _mean(c)
        return torch.where(total > 0, self.eps, torch.where(total < 0, -self.eps / 2, 0.0)).to(c)

    def gauge_unboxed(self, delta, x):
        amount = _mean(delta).flatten(1)[:, 0]
        size = torch.where(amount > 0, amount, -2 * amount)
        return torch.where(size == 0, 0.0, size / self.eps)

    def violation_unboxed(self, delta, x):
        return (delta - _mean(delta)).flatten(1).abs().amax(1)


def _mean(values):
    return values.flatten(1).mean(1).view(-1, *(1,) * (values.ndim - 1)).expand_as(values)


def points(shape=(1, 3, 3), count=5):
    torch.manual_seed(0)
    x = torch.rand(count, *shape, dtype=torch.float64).round(decimals=1)
    return x, torch.randn(count, *shape, dtype=torch.float64)


BOUNDS = [(0.0, 1.0), (-0.2, 2.0), None]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_norm_alone_gives_the_exact_oracles(bounds):
    """The ball that knows the norm alone agrees with the one whose algorithms know the box."""
    x, v = points()
    for eps in (0.3, 1.0, 0.0):
        mine, exact = Round(eps=eps, bounds=bounds), inradius.make(f"l2({eps}, bounds={bounds})", ThreatModel)
        torch.testing.assert_close(mine.project(v, x), exact.project(v, x), rtol=1e-7, atol=1e-8)
        best, reference = (((v * s.linear_max(v, x)).flatten(1).sum(1)) for s in (mine, exact))
        torch.testing.assert_close(best, reference, rtol=1e-7, atol=1e-9)
        support = mine.support(v[:, None], x)
        assert (support >= exact.support(v[:, None], x) * (1 - 1e-12)).all()
        torch.testing.assert_close(support, exact.support(v[:, None], x), rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(mine.gauge(v, x), exact.gauge(v, x))
        torch.testing.assert_close(mine.violation(v, x), exact.violation(v, x))


def even(v, x, bounds):
    """The projection on Even(eps=0.4), in closed form."""
    low, high = torch.full((len(x),), -0.2).double(), torch.full((len(x),), 0.4).double()
    if bounds is not None:
        low = low.maximum((bounds[0] - x).flatten(1).amax(1)).clamp(max=0)
        high = high.minimum((bounds[1] - x).flatten(1).amin(1)).clamp(min=0)
    return v.flatten(1).mean(1).clamp(low, high).view(-1, 1, 1, 1).expand_as(v)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_set_of_one_direction_agrees_with_its_closed_form(bounds):
    x, v = points()
    torch.testing.assert_close(Even(eps=0.4, bounds=bounds).project(v, x), even(v, x, bounds), rtol=1e-8, atol=1e-9)


def test_numbers_that_span_many_orders_of_magnitude():
    """The oracles are exact also where some numbers of v are a billion times as large as others."""
    x, v = points(count=8)
    v = v * 10.0 ** torch.randint(-9, 9, v.shape, dtype=torch.float64)
    torch.testing.assert_close(Even(eps=0.4).project(v, x), even(v, x, (0.0, 1.0)), rtol=1e-6, atol=1e-8)
    mine, exact = Round(eps=0.4), inradius.make("l2(0.4)", ThreatModel)
    torch.testing.assert_close(mine.project(v, x), exact.project(v, x), rtol=1e-6, atol=1e-8)
    best, reference = (((v * s.linear_max(v, x)).flatten(1).sum(1)) for s in (mine, exact))
    torch.testing.assert_close(best, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("threat", [Round(eps=0.4), Even(eps=0.4), Even(eps=0.4, bounds=((0.1,), 0.9))], ids=str)
def test_every_law_holds(threat):
    check_threat_model(
        threat,
        shape=(2, 1, 2),
        examples=1,
        only=LAWS,
        without=[law for law in LAWS if law.__name__ == "agrees_with_cvxpy"],
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "threat", [Even(eps=0.4), Even(eps=0.4, bounds=((0.1,), 0.9)), Even(eps=0.4, bounds=None)], ids=str
)
def test_members_never_lie_above_the_support(threat, dtype):
    """Also along directions in which the set is flat, where its support is 0."""
    check_threat_model(threat, shape=(2, 1, 2), dtype=dtype, examples=2, only=[members_lie_below_support])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(2, 1, 2), pytest.param((3, 8, 8), marks=pytest.mark.slow)])
def test_points_are_members_without_any_tolerance(shape, dtype):
    """What an even shift lacks of being even is rounding error, for directions that span many orders of magnitude too."""
    x, v = points(shape, count=8)
    if shape == (3, 8, 8):
        # room for a shift, but for one number on a face
        x[::2] = 0.05 + 0.9 * x[::2]
        x[::4, 0, 0, 0] = 0
    wide = v * 10.0 ** torch.randint(-3, 4, v.shape)
    threat, x = Even(eps=0.4), x.to(dtype)
    for c in (v.to(dtype), wide.to(dtype)):
        for delta in (threat.linear_max(c, x), threat.project(c, x)):
            assert threat.contains(delta, x, tol=0.0).all()
            uneven = threat.violation_unboxed(delta.double(), x.double())
            allowed = 4 * (x[0].numel() + 2) * torch.finfo(dtype).eps * delta.double().flatten(1).abs().amax(1)
            assert (uneven <= allowed).all()


@pytest.mark.parametrize("threat", [Round(eps=0.5), Even(eps=0.5)], ids=str)
def test_points_are_members_and_x_plus_delta_is_valid(threat):
    x, v = points()
    for delta in (threat.project(v, x), threat.linear_max(v, x), threat.sample(x)):
        assert threat.contains(delta, x, tol=0.0).all()
        assert ((x + delta >= -1e-15) & (x + delta <= 1 + 1e-15)).all()


def test_attacks_and_certifiers_run_on_it():
    x, _ = points()
    threat = Round(eps=0.2)
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 3)).double()
    y = model(x).argmax(1)
    found = inradius.make("pgd(steps=5)", Attack)(model, x, y, threat)
    proof = inradius.make("dual", Certifier)(model, x, y, threat)
    assert found.inside.all()
    assert not (found.success & proof.certified).any()


def test_inputs_outside_of_the_box_are_refused():
    with pytest.raises(InputError, match="allows"):
        Round(eps=0.1).check_inputs(torch.full((1, 1, 2, 2), 2.0))
