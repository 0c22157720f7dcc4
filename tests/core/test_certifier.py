"""What the template of certifiers does around a bound: properties, unions, rounding, float64, and bad answers."""

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inradius import Bounds, Certifier, InputError, PluginError, Property, Streams, ThreatModel
from inradius.testing import check_certifier
from inradius.testing.certifiers import members_lie_above_the_bound
from inradius.testing.components import spec_round_trip

DOUBLE = torch.float64


@attrs.frozen(kw_only=True)
class Cube(ThreatModel):
    """|δ_i| ≤ eps."""

    eps: float = 1.0

    convex = tight = True

    def project(self, delta, x):
        return delta.clamp(-self.eps, self.eps)

    def linear_max(self, c, x):
        return c.sign() * self.eps

    def gauge(self, delta, x):
        size = delta.flatten(1).abs().amax(1)
        return torch.where(size == 0, 0.0, size / self.eps)

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps * factor)


@attrs.frozen(kw_only=True)
class Two(Cube):
    """A union of two cubes, of which the larger holds the smaller."""

    convex = False

    def parts(self):
        return (Cube(eps=self.eps / 2), Cube(eps=self.eps))


@attrs.frozen(kw_only=True)
class Slope(Certifier):
    """Exact for affine models: the value at x less the support of minus the gradient."""

    def lower_bound(self, model, x, threat, prop, rng):
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(lambda z: model(z).sum(0), x, create_graph=True)
        rows = torch.einsum("bko,ob...->bk...", prop.weights, jacobian)
        value = (prop.weights * model(x)[:, None]).sum(2) + prop.offsets
        return Bounds(value=value - threat.support(-rows, x), exact=True)


@attrs.frozen(kw_only=True)
class Told(Certifier):
    """Answers with what it is told, and notes the calls."""

    bounds: object = None
    calls: list = attrs.field(factory=list, eq=False)

    def lower_bound(self, model, x, threat, prop, rng):
        self.calls.append((x.dtype, len(x), threat, model.training, rng.uniform().tolist()))
        return self.bounds(x, prop)


def told(value, **options):
    return Told(bounds=lambda x, prop: Bounds(value=value.to(x.dtype).expand(prop.offsets.shape), **options))


def affine(classes=3, size=4, seed=0, dtype=DOUBLE):
    rng = Streams(seed, torch.arange(classes))
    model = nn.Linear(size, classes, dtype=dtype)
    with torch.no_grad():
        model.weight.copy_(rng.normal((size,)))
        model.bias.copy_(rng.normal())
    return model


def batch(count=3, size=4, dtype=DOUBLE):
    return Streams(9, torch.arange(count)).normal((size,), dtype=dtype), torch.arange(count) % 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_margins_are_the_label_less_every_other_class_in_order(labels):
    y, logits = torch.tensor(labels), torch.tensor([1.0, 2.0, 4.0, 8.0]).expand(len(labels), -1)
    prop = Property.margins(y, 4)
    rows = (prop.weights * logits[:, None]).sum(2)
    for row, label in zip(rows.tolist(), labels, strict=True):
        assert row == [2.0**label - 2.0**j for j in range(4) if j != label]
    assert torch.equal(prop.select(y == y[0]).weights, prop.weights[y == y[0]])
    assert prop.to(DOUBLE).offsets.dtype == DOUBLE


def test_a_certificate_of_an_affine_model_is_exact():
    model, (x, y) = affine(), batch()
    proof = Slope()(model, x, y, Cube(eps=0.1))
    values = [model(x + 0.1 * signs) for signs in torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)]
    margins = torch.stack([(Property.margins(y, 3, dtype=DOUBLE).weights * v[:, None]).sum(2) for v in values])
    torch.testing.assert_close(proof.lower, margins.amin(0))
    assert (proof.method, proof.failure_probability, proof.parts) == ("slope()", 0.0, "each")
    assert proof.precision.tolist() == [64, 64, 64]


def test_a_sound_certifier_keeps_every_law():
    @attrs.frozen(kw_only=True)
    class Trivial(Certifier):
        """Proves nothing, which is never wrong."""

        def lower_bound(self, model, x, threat, prop, rng):
            return Bounds(value=torch.full_like(prop.offsets, -torch.inf))

    check_certifier(Trivial(), Cube(eps=0.2), without=[spec_round_trip])


@pytest.mark.parametrize("lie", [0.05, 10.0])
def test_the_laws_catch_a_bound_that_is_too_high(lie):
    @attrs.frozen(kw_only=True)
    class Boastful(Certifier):
        def lower_bound(self, model, x, threat, prop, rng):
            return Bounds(value=(prop.weights * model(x)[:, None]).sum(2) + prop.offsets + lie)

    with pytest.raises(AssertionError, match="has no value below the bound, but not for example"):
        check_certifier(Boastful(), Cube(eps=0.2), only=[members_lie_above_the_bound])


def test_certified_means_that_every_row_is_above_its_error():
    x, y = batch(2)
    value, error = torch.tensor([[0.5, 0.2], [0.5, 0.1]]), torch.tensor([[0.1, 0.1], [0.1, 0.1]])
    proof = told(value, error=error.double())(affine(), x, y, Cube())
    assert proof.certified.tolist() == [True, False]
    assert torch.equal(proof.error, error.double())


def test_an_error_that_is_not_stated_is_half_of_the_digits():
    x, y = batch(2)
    assert told(torch.tensor(1e-9))(affine(), x, y, Cube()).certified.tolist() == [False, False]
    assert told(torch.tensor(1e-7))(affine(), x, y, Cube()).certified.tolist() == [True, True]


@pytest.mark.parametrize("value", [torch.nan, -torch.inf, torch.inf])
def test_a_bound_that_is_no_number_or_overflowed_proves_nothing(value):
    proof = told(torch.tensor(value))(affine(), *batch(2), Cube())
    assert proof.lower.unique().tolist() == [-torch.inf]
    assert not bool(proof.certified.any())


def test_an_error_may_be_found_on_demand():
    x, y = batch(2)
    later = told(torch.tensor(0.5), error=lambda: torch.tensor([[0.1, 0.1], [0.6, 0.1]], dtype=DOUBLE))
    assert later(affine(), x, y, Cube()).certified.tolist() == [True, False]


def test_bounds_to_train_on_are_those_of_the_certificate_and_differentiable():
    model, (x, y) = affine(), batch()
    bound = Slope().bound(model, x, y, Two(eps=0.2))
    torch.testing.assert_close(bound, Slope()(model, x, y, Two(eps=0.2)).lower)
    bound.sum().backward()
    assert model.weight.grad is not None


def test_a_union_is_certified_member_by_member_or_as_its_hull():
    model, (x, y) = affine(), batch()
    each, hull = (Slope()(model, x, y, Two(eps=0.2), parts=parts) for parts in ("each", "hull"))
    torch.testing.assert_close(each.lower, Slope()(model, x, y, Cube(eps=0.2)).lower)
    torch.testing.assert_close(hull.lower, each.lower)
    assert (each.parts, hull.parts) == ("each", "hull")
    certifier = told(torch.tensor(1.0), failure_probability=0.7)
    proof = certifier(model, x, y, Two(eps=0.2))
    assert [str(call[2]) for call in certifier.calls] == ["cube(eps=0.1)", "cube(eps=0.2)"]
    assert proof.failure_probability == 1.0


def test_what_rounding_leaves_open_in_single_precision_is_bounded_again_in_double():
    x, y = batch(4, dtype=torch.float32)
    y = y % 3
    value = torch.tensor([[1.0, 1.0], [1e-5, 1.0], [-1.0, 1e-5], [-1e-5, 1.0]])
    certifier = Told(
        bounds=lambda x, prop: Bounds(value=value[:4].to(x.dtype) if len(x) == 4 else value[[1, 3]].to(x.dtype))
    )
    proof = certifier(affine(dtype=torch.float32), x, y, Cube())
    assert [(call[0], call[1]) for call in certifier.calls] == [(torch.float32, 4), (DOUBLE, 2)]
    assert proof.precision.tolist() == [32, 64, 32, 64]
    assert proof.certified.tolist() == [True, True, False, False]
    # the examples keep their random numbers
    first, again = (torch.tensor(call[4]) for call in certifier.calls)
    torch.testing.assert_close(again, first[[1, 3]])


def test_a_gradient_that_is_asked_for_is_not_cut_by_a_second_pass():
    model = affine(dtype=torch.float32)
    x, y = batch(3, dtype=torch.float32)
    proof = Slope()(model, x, y, Cube(eps=0.1))
    proof.lower.sum().backward()
    assert model.weight.grad is not None
    assert proof.precision.unique().tolist() == [32]


def test_the_model_is_in_eval_mode_and_its_modes_are_restored():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), affine()).double().train()
    model[1].eval()
    x, y = batch()
    certifier = told(torch.tensor(1.0))
    certifier(model, x, y, Cube())
    assert [call[3] for call in certifier.calls] == [False]
    assert [module.training for module in model] == [True, False, True]


def test_no_reduced_precision_inside_of_a_certificate():
    seen = []

    def bounds(x, prop):
        matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn
        seen.append((matmul.allow_tf32, conv.allow_tf32, matmul.allow_fp16_reduced_precision_reduction))
        return Bounds(value=prop.offsets)

    before = torch.backends.cudnn.allow_tf32
    Told(bounds=bounds)(affine(), *batch(), Cube())
    assert seen == [(False, False, False)]
    assert torch.backends.cudnn.allow_tf32 == before


def test_any_property_can_be_proved():
    model, (x, y) = affine(), batch()
    prop = Property(torch.ones(3, 1, 3, dtype=DOUBLE), torch.full((3, 1), 100.0, dtype=DOUBLE))
    proof = Slope()(model, x, y, Cube(eps=0.1), prop=prop)
    assert proof.lower.shape == (3, 1)
    assert bool(proof.certified.all())


def test_the_subject_is_what_is_certified():
    class Doubled(Slope):
        def subject(self, model):
            return lambda x: torch.cat([model(x), model(x)[:, :1]], dim=1)

        def lower_bound(self, model, x, threat, prop, rng):
            return Bounds(value=prop.offsets)

    assert Doubled()(affine(), *batch(), Cube()).lower.shape == (3, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"parts": "all"}, InputError, "parts='all' is not allowed; allowed are 'each' and 'hull'"),
        ({"x": torch.full((3, 4), torch.nan, dtype=DOUBLE)}, InputError, "input 0 has NaN or infinite values"),
        ({"x": torch.zeros(3, 4, dtype=torch.int64)}, InputError, "allowed are floating-point images"),
        ({"y": torch.tensor([0, 1])}, InputError, "allowed is one integer per input"),
        ({"y": torch.tensor([0.0, 1.0, 2.0])}, InputError, "allowed is one integer per input"),
        ({"y": torch.tensor([0, -1, 2])}, InputError, "label -1 is out of range"),
        ({"y": torch.tensor([0, 3, 2])}, InputError, "label 3 is out of range; the model has the classes 0 to 2"),
        ({"model": nn.Linear(4, 1).double()}, InputError, r"allowed are logits of shape \(3, classes ≥ 2\)"),
        ({"model": lambda x: x / 0}, InputError, "are NaN or infinite; they must be finite"),
        ({"index": torch.arange(2)}, InputError, "index has shape"),
        (
            {"certifier": Told(bounds=lambda x, prop: Bounds(value=torch.ones(3, 5)))},
            PluginError,
            r"returned bounds of shape .*; it must be \(3, 2\)",
        ),
    ],
)
def test_what_is_wrong_is_said(change, error, message):
    x, y = batch()
    parts = {"certifier": Slope(), "model": affine(), "x": x, "y": y} | change
    options = {key: parts[key] for key in ("parts", "index") if key in parts}
    with pytest.raises(error, match=message):
        parts["certifier"](parts["model"], parts["x"], parts["y"], Cube(), **options)


def test_no_examples_are_certified_in_no_time():
    proof = Slope()(affine(), torch.zeros(0, 4, dtype=DOUBLE), torch.zeros(0, dtype=torch.int64), Cube())
    assert proof.lower.shape == (0, 2)
    assert proof.certified.shape == (0,)
