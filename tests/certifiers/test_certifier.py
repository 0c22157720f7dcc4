"""What the template of certifiers does around a bound: properties, unions, rounding, float64, and bad answers."""

import attrs
import pytest
import torch
from certifier_toys import DOUBLE, Slope, Told, Two, affine, batch, told
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from toy_sets import Cube

from inradius import Bounds, Certifier, InputError, PluginError, Property
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.testing import check_certifier
from inradius.testing.certifiers import members_lie_above_the_bound
from inradius.testing.components import spec_round_trip


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
    assert (proof.method, proof.failure_probability, proof.union) == ("slope()", 0.0, "each")
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
    each, hull = (Slope()(model, x, y, Two(eps=0.2), union=union) for union in ("each", "hull"))
    torch.testing.assert_close(each.lower, Slope()(model, x, y, Cube(eps=0.2)).lower)
    torch.testing.assert_close(hull.lower, each.lower)
    assert (each.union, hull.union) == ("each", "hull")
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


def test_a_certifier_that_does_not_widen_is_asked_once():
    @attrs.frozen(kw_only=True)
    class Narrow(Told):
        widens = False

    x, y = batch(4, dtype=torch.float32)
    certifier = Narrow(bounds=lambda x, prop: Bounds(value=torch.full_like(prop.offsets, 1e-6)))
    proof = certifier(affine(dtype=torch.float32), x, y % 3, Cube())
    assert [call[0] for call in certifier.calls] == [torch.float32]
    assert (proof.precision.unique().tolist(), proof.certified.any().item()) == ([32], False)


@attrs.frozen(kw_only=True)
class Wide(Slope):
    """Exact for the stored weights, in whatever type it is asked; it asks the model itself, in the type of the inputs."""

    widens = True
    models: list = attrs.field(factory=list, eq=False)

    def lower_bound(self, model, x, threat, prop, rng):
        self.models.append((model, x.dtype, prop.offsets.dtype, current_certificate().dtype))
        weights = {name: value.to(x.dtype) for name, value in model.state_dict().items()}
        with torch.enable_grad():
            wide = lambda z: functional_call(model, weights, z)  # noqa: E731
            bounds = super().lower_bound(wide, x, threat, prop, rng)
        return attrs.evolve(bounds, error=torch.full_like(prop.offsets, 8 * torch.finfo(x.dtype).eps))


@pytest.mark.parametrize(
    ("dtype", "types"),
    [(DOUBLE, [64]), (torch.float32, [32, 64]), (torch.float16, [32, 64]), (torch.bfloat16, [32, 64])],
)
def test_the_same_model_is_bounded_in_a_wider_type(dtype, types):
    model, (x, y) = affine(dtype=dtype), batch(3, dtype=dtype)
    y = model(x).argmax(1)
    certifier, seen = Wide(), []
    wide = torch.nn.functional.linear(x.double(), model.weight.double(), model.bias.double())
    margins = Property.margins(y, 3, dtype=DOUBLE)
    # the set is so large that the exact bound of the first row of each example is tiny
    tiny = 1e-9
    reach = (margins.weights[:, 0] @ model.weight.double()).abs().sum(1)
    eps = float(((margins.values(wide)[:, 0] - tiny) / reach).amin().detach())
    proof = certifier(model, x, y, Cube(eps=eps))
    assert all(asked is model and original == dtype for asked, _, _, original in certifier.models)
    for _, asked, offsets, _ in certifier.models:
        assert asked == offsets
        seen.append(torch.finfo(asked).bits)
    assert seen == types
    assert proof.precision.max() == 64
    if dtype != DOUBLE:
        assert proof.precision.min() >= 32
    exact = margins.values(wide) - Cube(eps=eps).support(margins.weights @ model.weight.double(), x.double())
    at = proof.precision == 64
    torch.testing.assert_close(proof.lower.double()[at], exact.detach()[at], rtol=0, atol=1e-12)
    assert current_certificate() is None


def test_a_certificate_carries_no_gradient_and_says_the_same_in_all_its_parts():
    model = affine(dtype=torch.float32)
    x, y = batch(3, dtype=torch.float32)
    assert all(parameter.requires_grad for parameter in model.parameters())
    for certifier in (Slope(), Wide()):
        proof = certifier(model, x.clone().requires_grad_(), y, Cube(eps=0.1))
        assert not proof.lower.requires_grad
        assert not proof.error.requires_grad
        assert torch.equal(proof.certified, (proof.lower > proof.error).all(1))


def test_rounding_that_float64_settles_leaves_no_trace_in_what_is_certified():
    """A large error in float32 and a small one in float64, of parameters that ask for gradients."""
    model = affine(dtype=torch.float32)
    x, y = batch(3, dtype=torch.float32)

    def bounds(x, prop):
        value = torch.full_like(prop.offsets, 0.089) * (1 + 0 * model.weight.sum().to(x.dtype))
        return Bounds(value=value, error=torch.full_like(prop.offsets, 1219.0 if x.dtype == torch.float32 else 1e-6))

    proof = Told(bounds=bounds)(model, x, y, Cube())
    assert bool(proof.certified.all())
    assert torch.equal(proof.certified, (proof.lower > proof.error).all(1))
    assert (proof.precision.unique().tolist(), float(proof.error.max())) == ([64], 1e-6)


def test_under_inference_mode_a_certificate_is_the_same():
    model, (x, y) = affine(), batch()
    with torch.inference_mode():
        inside = Slope()(model, x.clone(), y.clone(), Cube(eps=0.1))
    assert torch.equal(inside.lower, Slope()(model, x, y, Cube(eps=0.1)).lower)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=4), min_size=2, max_size=2))
def test_over_a_union_every_part_of_a_certificate_says_the_same(numbers):
    """Rows that each member has above its error are above it in the certificate, and no others, beyond a hair's breadth."""
    found = [torch.tensor(side, dtype=DOUBLE).view(2, 2) for side in numbers]
    answers = iter(found * 2)

    def bounds(x, prop):
        side = next(answers)
        return Bounds(value=side[:, :1].expand(2, 2), error=side[:, 1:].abs().expand(2, 2))

    x, y = batch(2)
    proof = Told(bounds=bounds)(affine(), x, y, Two())
    assert torch.equal(proof.lower, torch.stack([side[:, :1].expand(2, 2) for side in found]).amin(0))
    assert torch.equal(proof.certified, (proof.lower > proof.error).all(1))
    slack = torch.stack([side[:, 0] - side[:, 1].abs() for side in found]).amin(0)
    clear = slack.abs() > 1e-12
    assert torch.equal(proof.certified[clear], (slack > 0)[clear])


def test_the_claim_is_that_of_the_bounds():
    model, (x, y) = affine(), batch(3)
    plain = told(torch.tensor(1.0))
    assert plain(model, x, y, Cube()).claim == ("real",) * 3
    assert told(torch.tensor(1.0), failure_probability=0.1)(model, x, y, Cube()).claim == ("probabilistic",) * 3
    assert told(torch.tensor(1.0), claim="float")(model, x, y, Cube()).claim == ("float",) * 3
    doubtful = told(torch.tensor(1.0), claim="float", failure_probability=0.1)
    assert doubtful(model, x, y, Cube()).claim == ("probabilistic",) * 3
    mixed = told(torch.tensor(1.0), claim=("real", "solver", "probabilistic"))(model, x, y, Cube(), claim="real")
    assert mixed.claim == ("real", "solver", "probabilistic")
    assert mixed.certified.tolist() == mixed.counted(accept_solver=True).tolist() == [True, True, True]
    assert mixed.counted().tolist() == [True, False, True]


def test_over_a_union_the_weakest_claim_stands():
    answers = iter([("float", "real", "probabilistic", "float"), ("float", "float", "solver", "solver")])

    def bounds(x, prop):
        return Bounds(value=torch.ones_like(prop.offsets), claim=next(answers))

    assert Told(bounds=bounds)(affine(), *batch(4), Two()).claim == ("float", "real", "solver", "solver")


def test_the_second_pass_brings_its_own_claim():
    def bounds(x, prop):
        first = x.dtype == torch.float32
        value = torch.tensor([[1.0], [1e-6], [1.0]])[: len(x)] if first else torch.ones(1, 1)
        return Bounds(value=value.to(x.dtype).expand_as(prop.offsets), claim="real" if first else "solver")

    x, y = batch(3, dtype=torch.float32)
    assert Told(bounds=bounds)(affine(dtype=torch.float32), x, y, Cube()).claim == ("real", "solver", "real")


@pytest.mark.parametrize("claim", ["sure", ("real",), ("real", "real", "sure")])
def test_a_claim_is_one_of_the_levels_for_all_or_for_each(claim):
    with pytest.raises(
        PluginError, match="allowed is one of float, real, probabilistic, solver, or one for each example"
    ):
        told(torch.tensor(1.0), claim=claim)(affine(), *batch(3), Cube())


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
        sums = matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction
        seen.append((matmul.allow_tf32, conv.allow_tf32, *sums))
        return Bounds(value=prop.offsets)

    before = torch.backends.cudnn.allow_tf32
    Told(bounds=bounds)(affine(), *batch(), Cube())
    assert seen == [(False, False, False, False)]
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


class Overflow(nn.Module):
    def forward(self, x):
        return x / 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"union": "all"}, InputError, "union='all' is not allowed; allowed are 'each' and 'hull'"),
        ({"x": torch.full((3, 4), torch.nan, dtype=DOUBLE)}, InputError, "input 0 has NaN or infinite values"),
        ({"x": torch.zeros(3, 4, dtype=torch.int64)}, InputError, "allowed are floating-point images"),
        ({"y": torch.tensor([0, 1])}, InputError, "allowed is one integer per input"),
        ({"y": torch.tensor([0.0, 1.0, 2.0])}, InputError, "allowed is one integer per input"),
        ({"y": torch.tensor([0, -1, 2])}, InputError, "label -1 is out of range"),
        ({"y": torch.tensor([0, 3, 2])}, InputError, "label 3 is out of range; the model has the classes 0 to 2"),
        ({"model": nn.Linear(4, 1).double()}, InputError, r"allowed are logits of shape \(3, classes ≥ 2\)"),
        ({"model": Overflow()}, InputError, "are NaN or infinite; they must be finite"),
        ({"model": torch.sin}, InputError, "the model is a builtin_function_or_method; allowed is a torch.nn.Module"),
        ({"y": None}, InputError, "neither labels nor a property are given"),
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
    options = {key: parts[key] for key in ("union", "index") if key in parts}
    with pytest.raises(error, match=message):
        parts["certifier"](parts["model"], parts["x"], parts["y"], Cube(), **options)


def test_no_examples_are_certified_in_no_time():
    proof = Slope()(affine(), torch.zeros(0, 4, dtype=DOUBLE), torch.zeros(0, dtype=torch.int64), Cube())
    assert proof.lower.shape == (0, 2)
    assert proof.certified.shape == (0,)
