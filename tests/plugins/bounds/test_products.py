"""Products of two values: bounds in exact arithmetic, at any scale, over boxes, and as a training loss."""

from fractions import Fraction

import pytest
import torch
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius.outcomes.property import Property

PROOFS = ["interval()", "crown()", "dual()", "alpha(steps=3)", "alpha(layers='all', steps=2)"]


class Multiplied(nn.Module):
    """C (a(x) ⊙ b(x)) + c with affine a and b, or with their product as matrices; ``bend`` stands before the last layer."""

    def __init__(self, form, scales=(1.0, 1.0), seed=0, bend=None):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)
        self.form, self.bend = form, bend
        self.out = nn.Linear(4, 2)
        with torch.no_grad():
            for layer, scale in zip((self.first, self.second), scales, strict=True):
                layer.weight.mul_(scale)
                layer.bias.mul_(scale)

    def forward(self, x):
        a, b = self.first(x), self.second(x)
        if self.form == "numbers":
            z = a * b
        elif self.form == "matrices":
            z = (a.view(-1, 2, 2) @ b.view(-1, 2, 2)).flatten(1)
        elif self.form == "shared":
            z = a * a.flip(1) + a * b
        else:
            z = (a / (1 + b.square())) * torch.softmax(b, 1)
        return self.out(z if self.bend is None else self.bend(z))


def exact(model, x):
    """The logits of the stored weights in rational numbers, for one input (3,)."""
    point = [Fraction(float(number)) for number in x]

    def affine(layer, given):
        rows, bias = layer.weight.tolist(), layer.bias.tolist()
        return [
            sum((Fraction(w) * g for w, g in zip(row, given, strict=True)), Fraction(own))
            for row, own in zip(rows, bias, strict=True)
        ]

    a, b = affine(model.first, point), affine(model.second, point)
    if model.form == "numbers":
        z = [one * other for one, other in zip(a, b, strict=True)]
    elif model.form == "matrices":
        z = [sum(a[2 * i + k] * b[2 * k + j] for k in (0, 1)) for i in (0, 1) for j in (0, 1)]
    else:
        z = [one * other + one * second for one, other, second in zip(a, reversed(a), b, strict=True)]
    if model.bend is not None:
        z = [max(number, Fraction(0)) for number in z]
    return affine(model.out, z)


def rows_of(x):
    eye = torch.eye(2, dtype=x.dtype)
    return Property(torch.cat([eye, -eye]).expand(len(x), 4, 2), torch.zeros(len(x), 4, dtype=x.dtype))


def points(seed, dtype, count=4):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("bend", [None, nn.ReLU()], ids=["plain", "relu"])
@pytest.mark.parametrize(
    ("form", "scales"),
    in_turn(["numbers", "matrices", "shared"], [(1.0, 1.0), (1e4, 1e-4), (1e-3, 1e2), (1e-18, 1e15)]),
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_no_bound_is_above_the_exact_value(form, scales, dtype, bend):
    """Bounds less their errors are at most the exact logits of members, and within the stated errors at radius 0."""
    model, x = Multiplied(form, scales, bend=bend).to(dtype), points(1, dtype)
    signs = torch.tensor([[1.0, -1, 1], [-1, -1, 1], [0, 0, 0], [1, 1, 1]], dtype=dtype)
    for eps in (0.0, 2.0**-6):
        threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
        # sums that the type holds are exact members
        members = [x + eps * sign for sign in signs]
        truths = [
            (example, [*logits, *(-number for number in logits)])
            for member in members
            for example, point in enumerate(member)
            if bool(((point.double() - x[example].double()).abs() <= eps).all())
            for logits in [exact(model, point)]
        ]
        for spec in PROOFS:
            proof = inradius.make(spec, Certifier)(model, x, None, threat, prop=rows_of(x), claim="real")
            safe = proof.lower - proof.error
            for example, values in truths:
                for place, value in enumerate(values):
                    assert Fraction(float(safe[example, place])) <= value, (spec, eps, place)
            if eps == 0 and max(scales) <= 1e4 and spec != "interval()":
                logits = torch.tensor([[float(number) for number in exact(model, point)] for point in x])
                near = torch.cat([logits, -logits], dim=1)
                assert bool((proof.lower >= near - 1e-4 * near.abs().clamp(min=1)).all()), spec


@pytest.mark.parametrize("form", ["numbers", "matrices", "shared"])
def test_at_level_float_bounds_hold_for_executions_in_other_orders(form):
    model, x = Multiplied(form, (30.0, 0.1)), points(2, torch.float32, 16)
    threat = inradius.make("linf(eps=0, bounds=None)", ThreatModel)
    proof = inradius.make("crown()", Certifier)(model, x, None, threat, prop=rows_of(x), claim="float")
    assert set(proof.claim) == {"float"}
    order = torch.randperm(3, generator=torch.Generator().manual_seed(0))
    other = Multiplied(form, (30.0, 0.1))
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for layer in (other.first, other.second):
            layer.weight.copy_(layer.weight[:, order])
        runs = [model(x), torch.cat([model(one[None]) for one in x]), other(x[:, order])]
    for logits in runs:
        values = torch.cat([logits, -logits], dim=1).double()
        assert bool((proof.lower - proof.error <= values).all())


@pytest.mark.parametrize("spec", ["interval()", "crown()", "alpha(steps=5)"])
@pytest.mark.parametrize("form", ["numbers", "matrices"])
def test_a_product_has_the_same_bound_at_any_scale_of_its_factors(form, spec):
    x, threat = points(3, torch.float64), inradius.make("linf(eps=0.2, bounds=None)", ThreatModel)
    found = [
        inradius.make(spec, Certifier)(Multiplied(form, (k, 1 / k)).double(), x, None, threat, prop=rows_of(x)).lower
        for k in (1.0, 2.0**7, 2.0**-20)
    ]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", ["numbers", "matrices", "shared", "mixed"])
@pytest.mark.parametrize("eps", [0.05, 1.0])
def test_no_member_is_below_a_bound(form, eps):
    model, x = Multiplied(form, seed=4).double(), points(4, torch.float64)
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    generator = torch.Generator().manual_seed(5)
    shares = torch.rand(300, *x.shape, dtype=torch.float64, generator=generator) * 2 - 1
    shares[:100] = shares[:100].sign()
    with torch.no_grad():
        values = torch.stack([model(x + eps * share) for share in shares])
    seen = torch.cat([values.amin(0), -values.amax(0)], dim=1)
    before = None
    for spec in PROOFS:
        found = inradius.make(spec, Certifier)(model, x, None, threat, prop=rows_of(x)).lower
        assert bool((found <= seen + 1e-9).all()), spec
        if spec == "crown()":
            before = found
        if spec.startswith("alpha"):
            assert bool((found >= before - 1e-9).all())


def test_the_interval_of_a_product_of_numbers_is_exact():
    """Over boxes of independent factors the box of their product is attained at corners."""

    class Halves(nn.Module):
        def forward(self, x):
            return x[:, :2] * x[:, 2:]

    x = torch.tensor([[0.3, -0.2, 0.5, 0.9], [1.0, -1.0, 0.1, -0.4]], dtype=torch.float64)
    threat = inradius.make("linf(eps=0.4, bounds=None)", ThreatModel)
    found = inradius.make("interval()", Certifier)(Halves(), x, None, threat, prop=rows_of(x)).lower
    a, b = x[:, :2], x[:, 2:]
    corners = torch.stack([(a + s * 0.4) * (b + t * 0.4) for s in (-1, 1) for t in (-1, 1)])
    torch.testing.assert_close(found, torch.cat([corners.amin(0), -corners.amax(0)], dim=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spec", ["interval()", "crown()"])
def test_bounds_of_products_train(spec):
    """The gradient of a bound in a weight is that of finite differences."""
    model, x = Multiplied("matrices", seed=6).double(), points(6, torch.float64)
    threat, certifier = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel), inradius.make(spec, Certifier)
    y = model(x).argmax(1)

    def loss():
        return certifier.bound(model, x, y, threat).sum()

    loss().backward()
    for layer in (model.first, model.second, model.out):
        gradient = layer.weight.grad[0, 0]
        with torch.no_grad():
            ends = []
            for step in (1e-6, -1e-6):
                layer.weight[0, 0] += step
                with torch.enable_grad():
                    ends.append(float(loss().detach()))
                layer.weight[0, 0] -= step
        assert abs(float(gradient) - (ends[0] - ends[1]) / 2e-6) <= 1e-5 * (1 + abs(float(gradient)))


@pytest.mark.parametrize("sharpness", [1.0, 60.0, 6000.0])
def test_softmax_has_finite_bounds_for_sharp_logits_and_masks_of_large_numbers(sharpness):
    mask = torch.tensor([0, 0, -1e9, 0, -100.0], dtype=torch.float64)

    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.score, self.out = nn.Linear(3, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.out(torch.softmax(sharpness * self.score(x) + mask, dim=1))

    model, x = Chosen().double(), points(7, torch.float64)
    threat = inradius.make("linf(eps=0.02, bounds=None)", ThreatModel)
    shares = torch.rand(200, *x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        values = torch.stack([model(x + 0.02 * share) for share in shares])
    seen = torch.cat([values.amin(0), -values.amax(0)], dim=1)
    for spec in PROOFS:
        found = inradius.make(spec, Certifier)(model, x, None, threat, prop=rows_of(x)).lower
        assert bool(found.isfinite().all())
        assert bool((found <= seen + 1e-9).all())
        # softmax is in [0, 1], so that the logits are within the weights of the last layer
        assert bool((found >= -(model.out.weight.abs().sum() + model.out.bias.abs().sum())).all())


def test_inner_bounds_behind_products_alone_have_no_slopes_to_choose():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            a = self.first(x)
            p = a * a.flip(1)
            return self.out((p * p.flip(1) + a.relu()).tanh())

    model, x, threat = Net(), points(8, torch.float32), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    crown, alpha = (
        inradius.make(spec, Certifier)(model, x, None, threat, prop=rows_of(x)).lower
        for spec in ("crown()", "alpha(layers='all', steps=2)")
    )
    # crown alone bounds so small a network in float64
    assert bool((alpha >= crown - 1e-5).all())
