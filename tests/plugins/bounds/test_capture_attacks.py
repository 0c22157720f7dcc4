"""Laws of captured models that earlier versions broke: a certificate keeps each of them, or the model is refused."""

import contextlib
import copy
import itertools

import pytest
import torch
from in_turn import in_turn
from torch import nn

import inradius
from inradius import (
    Certifier,
    ExampleRNG,
    InputError,
    InradiusError,
    LayerRule,
    Property,
    ThreatModel,
    UnsupportedError,
)

CERTIFIERS = ["interval", "crown", "alpha", "dual", "lp"]
HALVES = [torch.bfloat16, torch.float16]
TYPES = [torch.float32, *HALVES]


def certify(model, x, y, name="crown", eps=0.01):
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    return inradius.make(name, Certifier)(model, x, torch.full((len(x),), y), threat, claim="real")


def outcome(*given, **options):
    """The bounds of a certificate, or the kind of its refusal. No other error is allowed."""
    try:
        return certify(*given, **options).lower.tolist()
    except InradiusError as error:
        return type(error)


def check_as_a_copy(model, x, **options):
    """A model that was certified before has the certificate of an equal model that was not."""
    for y in range(model(x.clone()).shape[1]):
        assert outcome(model, x, y, **options) == outcome(copy.deepcopy(model), x, y, **options)


def check_contains(model, x, *, eps=0.01, names=("crown", "interval")):
    """No bound is above a value of the exact function of the stored weights, in float64, at the input and at members of the set."""
    exact = copy.deepcopy(model).double()
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    wide = x.double()
    deltas = [torch.zeros_like(wide)]
    deltas += [threat.sample(wide, rng=ExampleRNG(number, torch.arange(len(x)))) for number in range(3)]
    with torch.no_grad():
        values = torch.stack([torch.cat([exact(row[None].clone()) for row in wide + delta]) for delta in deltas])
    for name in names:
        for y in range(values.shape[2]):
            proof = certify(model, x.clone(), y, name, eps)
            rows = Property.margins(torch.full((len(x),), y), values.shape[2], dtype=torch.float64).weights
            least = torch.einsum("bko,pbo->pbk", rows, values).amin(0)
            assert bool((proof.lower - proof.error <= least + 1e-9 * (1 + least.abs())).all()), (name, y)


def refused(model, x, *, eps=0.01, match="."):
    with pytest.raises(UnsupportedError, match=match):
        certify(model, x, 0, eps=eps)


def inputs(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Function(nn.Module):
    """A function of the module and its input, with two layers for its use."""

    def __init__(self, function, wide=4, hidden=20):
        super().__init__()
        torch.manual_seed(1)
        self.function = function
        self.first, self.last = nn.Linear(wide, hidden), nn.Linear(hidden, 3)

    def net(self, x):
        return self.last(self.first(x).relu())

    def forward(self, x):
        return self.function(self, x)


def deep(*before, given, depth=8, width=64):
    """A network so deep that worst-case bounds on its rounding are useless."""
    torch.manual_seed(0)
    sizes = [given, *[width] * (depth + 1)]
    layers = [each for size, to in itertools.pairwise(sizes) for each in (nn.Linear(size, to), nn.ReLU())]
    net = nn.Sequential(*before, *layers, nn.Linear(width, 2))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


class Deep(Function):
    def __init__(self, function, depth=8):
        super().__init__(function)
        self.layers = deep(given=4, depth=depth)

    def net(self, x):
        return self.layers(x)


# constants that steps were built from may change in place: places, masks, choices, converted weights


class Permuted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.tensor([0, 1]))

    def forward(self, z):
        return z[:, self.table]


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.tensor([False, True]))

    def forward(self, z):
        return z.masked_fill(self.table, -5.0)


class Chosen(Masked):
    def forward(self, z):
        return torch.where(self.table, -z, z)


class Listed(Permuted):
    def forward(self, z):
        return z.index_select(1, self.table)


CHANGES = {
    "load_state_dict": lambda m: m.load_state_dict({"table": m.table.flip(0)}),
    "copy_": lambda m: m.table.copy_(m.table.flip(0)),
    "data": lambda m: m.table.data.copy_(m.table.flip(0)),
    "another's memory": lambda m: setattr(m.table, "data", m.table.flip(0)),
    "another buffer": lambda m: setattr(m, "table", m.table.flip(0)),
}


@pytest.mark.parametrize(("head", "change"), in_turn([Permuted, Masked, Chosen, Listed], [*CHANGES]))
def test_places_and_masks_that_change_are_seen(head, change):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), head()).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[0].bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.tensor([[0.5, 0.5]])
    # forward, backward and by a solver: the others go backward too
    names = ("interval", "crown", "lp")
    before = [outcome(model, x, y, name=name) for y in range(2) for name in names]
    CHANGES[change](model[2])
    for name in names:
        check_as_a_copy(model, x, name=name)
    assert [outcome(model, x, y, name=name) for y in range(2) for name in names] != before


@pytest.mark.parametrize(
    "choose",
    [
        lambda gate, x: x[:, gate.topk(1)[1]],
        lambda gate, x: torch.where(gate > 0.75, x, 0.0).sum(1, keepdim=True),
        lambda gate, x: x.masked_fill(gate < 0.75, 0.0).sum(1, keepdim=True),
        lambda gate, x: x.index_select(1, gate.argmax()[None]),
        lambda gate, x: x[:, gate.argsort()[-1:]],
    ],
    ids=["topk", "where", "masked_fill", "argmax", "argsort"],
)
def test_choices_by_weights_follow_an_optimizers_step(choose):
    class Pruned(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Parameter(torch.tensor([1.0, 0.5, -0.5]))

        def forward(self, x):
            h = choose(self.gate, x)
            return torch.cat([h, 1 - h], 1)

    model, x = Pruned().eval(), torch.tensor([[0.9, 0.1, 0.1]])
    outcome(model, x, 0)
    model.gate.grad = torch.tensor([1.0, -1.0, 0.0])
    torch.optim.SGD(model.parameters(), 1.0).step()
    check_as_a_copy(model, x)


class Scale(nn.Module):
    """A module with a rule of its own, as a plugin would bring it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0, 1.0]))

    def forward(self, z):
        return z * self.weight


class ScaleRule(LayerRule):
    affine = True
    elementwise = True

    def interval(self, op, lower, upper):
        ends = op(lower), op(upper)
        return torch.minimum(*ends), torch.maximum(*ends)

    def adjoint(self, op, rows):
        return rows * op.module.weight

    def terms(self, op):
        return 1

    def fan(self, op):
        return 1


@pytest.mark.parametrize("shift", [0.0, 2.0**22], ids=["plain", "bounded again in float64"])
@pytest.mark.parametrize("dtype", [torch.float64, *TYPES])
def test_modules_with_a_plugins_rule_follow_their_weights(register, dtype, shift):
    register(layer_rules={Scale: ScaleRule()})
    shift = 0.0 if dtype in HALVES else shift
    model = nn.Sequential(Function(lambda m, z: (z + shift) - shift), Scale()).to(dtype).eval()
    x = torch.ones(1, 2, dtype=dtype)
    assert certify(model, x, 0).certified.all()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 2.0]))
    check_as_a_copy(model, x)
    assert not certify(model, x, 0).certified.any()


def test_a_constant_whose_memory_is_replaced_is_seen():
    class Replaced(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.tensor([0.0, 5.0]))
            self.replaces = False

        def forward(self, x):
            constant = torch.zeros(2)
            if self.replaces:
                constant.data = self.table
            return x + constant

    model, x = Replaced().eval(), torch.tensor([[1.0, 0.0]])
    outcome(model, x, 0)
    model.replaces = True
    check_as_a_copy(model, x)


# constants that are written on through another tensor of the same memory


class Weighted(nn.Module):
    """A layer whose weight is a product of two, changed by a function of the module and the weight."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(3)
        self.direction, self.length = nn.Parameter(torch.randn(32, 8)), nn.Parameter(torch.rand(32, 1) + 0.5)
        self.last, self.change = nn.Linear(32, 2), change

    def forward(self, x):
        return self.last((x @ self.change(self.direction * self.length).T).relu())


def zero_a_column(weight):
    weight[:, 0] = 0
    return weight


def double_a_row(weight):
    weight[1].mul_(2)
    return weight


def clear_a_view(weight):
    weight.view(-1)[:8].zero_()
    return weight


def clamp_data(weight):
    weight.data.clamp_(-1, 1)
    return weight


def clamp_detached(weight):
    weight.detach().clamp_(-1, 1)
    return weight


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("change", [zero_a_column, double_a_row, clear_a_view, clamp_data, clamp_detached])
def test_what_was_computed_from_weights_and_changed_through_a_view_is_refused(change, dtype):
    refused(Weighted(change).to(dtype).eval(), inputs(2, 8).to(dtype))


def test_a_sum_of_weights_that_cancels_is_refused_where_it_was_changed_through_a_view():
    """In float32 1e8 + 2 is 1e8, and the exact sum less 1e8 is 2."""

    class Cancelling(nn.Module):
        def __init__(self):
            super().__init__()
            self.large, self.small = nn.Parameter(torch.tensor([1e8, 0.0])), nn.Parameter(torch.tensor([2.0, 0.0]))

        def forward(self, x):
            constant = self.large + self.small
            constant[1] = constant[1] * 0
            return x.relu() + (constant - self.large)

    refused(Cancelling().eval(), inputs(1, 2))


def column_mask(weight):
    mask = torch.ones_like(weight)
    mask[:, 0] = 0
    return weight * mask


def filled_mask(weight):
    mask = torch.zeros(32, 8, dtype=weight.dtype)
    mask[:, 1:].fill_(1)
    return weight * mask


def product_mask(weight):
    return weight * torch.tensor([0] + [1] * 7, dtype=weight.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, *TYPES])
@pytest.mark.parametrize("change", [column_mask, filled_mask])
def test_a_mask_that_was_changed_through_a_view_is_that_mask(change, dtype):
    x = inputs(2, 8).to(dtype)
    for y in range(2):
        found, wanted = (certify(Weighted(each).to(dtype).eval(), x, y) for each in (change, product_mask))
        torch.testing.assert_close(found.lower, wanted.lower, rtol=1e-6, atol=1e-6)
    check_contains(Weighted(change).to(dtype).eval(), x)


class Circulant(nn.Module):
    def __init__(self, build):
        super().__init__()
        torch.manual_seed(0)
        self.row, self.build = nn.Parameter(torch.randn(4)), build

    def forward(self, x):
        return x @ self.build(self.row)


def row_by_row(row):
    matrix = torch.zeros(4, 4, dtype=row.dtype)
    for shift in range(4):
        matrix[shift] = row.roll(shift)
    return matrix


def stacked(row):
    return torch.stack([row.roll(shift) for shift in range(4)])


def test_bounds_have_the_gradient_of_a_weight_that_is_written_through_a_view_or_are_refused():
    gradients, threat = [], inradius.make("linf(eps=0.01, bounds=None)", ThreatModel)
    for build in (stacked, row_by_row):
        model = Circulant(build).eval()
        with contextlib.suppress(UnsupportedError):
            inradius.make("crown", Certifier).bound(model, inputs(2, 4), torch.tensor([0, 1]), threat).sum().backward()
            gradients.append(model.row.grad)
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0])


# the check against the model's values works in deep networks and in short types


class Unfolded(nn.Module):
    """Counts bright pixels, so that places over the padding decide."""

    def __init__(self, **options):
        super().__init__()
        self.unfold = nn.Unfold(3, **options)
        columns = self.unfold(torch.zeros(1, 1, 8, 8)).shape[2]
        self.mix, self.last = nn.Conv1d(9, 16, 1), nn.Linear(16 * columns, 2)
        with torch.no_grad():
            self.mix.weight.fill_(1.0)
            self.mix.bias.zero_()
            self.last.weight.copy_(torch.tensor([[-0.001], [0.001]]).expand(2, 16 * columns))
            self.last.bias.copy_(torch.tensor([1.0, -0.2]))

    def forward(self, x):
        return self.last(self.mix(self.unfold(x)).relu().flatten(1))


def contains_or_refuses(model, x, **options):
    with contextlib.suppress(InradiusError):
        check_contains(model, x, **options)


@pytest.mark.parametrize("dtype", [torch.float64, *TYPES])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": (2, 1)},
        {"padding": (0, 3), "stride": 2},
        {"padding": 2, "dilation": 2},
        {"stride": (1, 2), "dilation": (2, 1)},
    ],
    ids=str,
)
def test_unfold_with_padding_contains_the_models_values_or_is_refused(options, dtype):
    x = torch.zeros(1, 1, 8, 8, dtype=dtype)
    x[..., 0, 0] = 4.0
    contains_or_refuses(Unfolded(**options).to(dtype).eval(), x)


@pytest.mark.parametrize("depth", [0, 4, 10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_deep_network_on_unfold_contains_its_values_or_is_refused(dtype, depth):
    x = inputs(4, 1, 8, 8, seed=1)
    x[:, :, 0, 0] = 3.0
    model = deep(nn.Unfold(3, padding=1), nn.Flatten(), given=576, depth=depth).to(dtype).eval()
    contains_or_refuses(model, x.to(dtype), eps=1e-7)


# a check against worst-case rounding is useless for deep networks and for short types
NETWORKS = [(Function, torch.float32), (Function, torch.bfloat16), (Function, torch.float16)]
NETWORKS += [(Deep, torch.float64), (Deep, torch.float32), (Deep, torch.bfloat16)]

JOINING = {
    "mean": lambda m, x: m.net(x - x.mean(0) + 0.5),
    "mean of hidden": lambda m, x: m.net(x) - m.net(x).mean(0),
    "roll": lambda m, x: m.net(x + x.roll(1)),
    "roll of examples": lambda m, x: m.net(x + x.roll(1, 0)),
    "flip": lambda m, x: m.net(x + x.flip(0)),
    "sum": lambda m, x: m.net(x / x.sum()),
    "first": lambda m, x: m.net(x) + 0.1 * m.net(x)[:1],
}


@pytest.mark.parametrize(("network", "dtype"), NETWORKS)
@pytest.mark.parametrize("name", JOINING)
def test_a_model_that_joins_examples_is_refused(name, network, dtype):
    refused(network(JOINING[name]).to(dtype).eval(), inputs(4, 4).to(dtype), eps=1e-7)


def swallowed(m, x):
    try:
        value = float(m.first(x)[0, 0].detach())
    except Exception:
        value = 0.0
    return m.net(x) * (1 if value == 0 else -1)


NOTICING = {
    "type": lambda m, x: m.net(x) * (-1 if type(x) is torch.Tensor else 1),
    "type of a value": lambda m, x: m.net(x) * (-1 if type(m.first(x)) is torch.Tensor else 1),
    "swallowed error": swallowed,
    "gradients enabled": lambda m, x: m.net(x) * (1 if torch.is_grad_enabled() else -1),
    "gradient wanted": lambda m, x: m.net(x) * (1 if x.requires_grad else -1),
}


@pytest.mark.parametrize(("network", "dtype"), NETWORKS)
@pytest.mark.parametrize("name", NOTICING)
def test_what_reads_the_type_of_its_input_or_the_gradient_mode_is_refused(name, network, dtype):
    refused(network(NOTICING[name]).to(dtype).eval(), inputs(2, 4).to(dtype), eps=1e-7)


# questions about the number of examples that no operator shows


ASKING = {
    "number": lambda m, x, n: 1 - 2 * min(1, n // 200),
    "int": lambda m, x, n: -1 if int(n) >= 200 else 1,
    "index": lambda m, x, n: -1 if n.__index__() >= 200 else 1,
    "range": lambda m, x, n: -1 if len(range(n)[199:]) else 1,
    "dictionary": lambda m, x, n: {257: -1}.get(n, 1),
    "text": lambda m, x, n: -1 if str(tuple(x.shape)).startswith("(2") and n > 2 else 1,
    "format": lambda m, x, n: -1 if f"{n}" == "257" else 1,
    "bytes": lambda m, x, n: -1 if x.nbytes >= 200 * 8 else 1,
    "transposed": lambda m, x, n: -1 if x.T.shape[1] >= 200 else 1,
    "storage": lambda m, x, n: -1 if x.untyped_storage().nbytes() >= 200 * 8 else 1,
    "length": lambda m, x, n: -1 if len(x) >= 200 else 1,
}


@pytest.mark.parametrize("name", ASKING)
def test_what_batches_of_up_to_257_examples_get_in_another_way_is_refused(name):
    refused(Function(lambda m, x: x * ASKING[name](m, x, x.shape[0])).eval(), torch.tensor([[1.0, 0.0]]))


def test_examples_from_the_200th_on_that_get_another_function_are_refused():
    refused(Function(lambda m, x: torch.cat([x[:199], -x[199:]])).eval(), torch.tensor([[1.0, 0.0]]))


# a certificate, or a refusal, leaves the model unchanged


def clip(m, x):
    m.last.weight.data.clamp_(-0.1, 0.1)


def renormalise(m, x):
    m.last.weight.data = m.last.weight.data / m.last.weight.data.norm() * 0.5


def buffer_data(m, x):
    m.table.data.add_(1)


def buffer_numpy(m, x):
    m.table.numpy()[0] += 1


def plain_tensor(m, x):
    m.plain.add_(1)


def listed_tensor(m, x):
    m.listed[0].add_(1)


def gradient(m, x):
    m.last.bias.grad = torch.ones(3)


def flag(m, x):
    m.last.requires_grad_(False)


def attribute(m, x):
    m.seen = x.detach()


@pytest.mark.parametrize(
    "change",
    [clip, renormalise, buffer_data, buffer_numpy, plain_tensor, listed_tensor, gradient, flag, attribute],
    ids=lambda change: change.__name__,
)
def test_a_certificate_or_a_refusal_leaves_the_state_as_it_was(change):
    model = Function(lambda m, x: (change(m, x), m.net(x))[1]).eval()
    model.register_buffer("table", torch.zeros(3))
    model.plain, model.listed = torch.zeros(3), [torch.zeros(3)]
    before = copy.deepcopy(vars(model))
    addresses = [each.data_ptr() for each in model.parameters()]
    outcome(model, inputs(2, 4), 0)
    assert list(vars(model)) == list(before)
    assert all(map(torch.equal, model.state_dict().values(), nn.Module.state_dict(copy_of(before)).values()))
    assert [each.data_ptr() for each in model.parameters()] == addresses
    assert all(each.requires_grad and each.grad is None for each in model.parameters())
    assert not model.plain.any()
    assert not model.listed[0].any()


def copy_of(state):
    """A module of a state."""
    module = nn.Module()
    vars(module).update(state)
    return module


# errors are sentences


def test_a_maximum_over_padding_alone_has_bounds_or_a_sentence():
    layers = nn.MaxPool2d(2, 1, 1, dilation=3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)
    contains_or_refuses(nn.Sequential(*layers).eval(), inputs(1, 1, 2, 5))


# models that must not be refused


def shifted_in_place(m, x):
    x -= 0.5
    return m.net(x)


def profiled(m, x):
    with torch.profiler.record_function("block"):
        return m.net(x)


def asserted(m, x):
    assert x.shape[0] > 0
    return m.net(x)


def padded_with_zeros(m, x):
    return m.net(x + x.new_zeros(x.shape[0], 4))


FINE = {
    "assert": (asserted, Function.net),
    "new_zeros": (padded_with_zeros, Function.net),
    "ones_like": (lambda m, x: m.net(x + 0.5 * torch.ones_like(x)), lambda m, x: m.net(x + 0.5)),
    "record_function": (profiled, Function.net),
    "x -= 0.5": (shifted_in_place, lambda m, x: m.net(x - 0.5)),
    "x.sub_": (lambda m, x: m.net(x.sub_(0.5).div_(0.5)), lambda m, x: m.net((x - 0.5) / 0.5)),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", FINE)
def test_ordinary_code_in_forward_has_the_bounds_of_the_equal_model(name, dtype):
    x = inputs(3, 4).to(dtype)
    kept, (function, equal) = x.clone(), FINE[name]
    model, other = Function(function).to(dtype).eval(), Function(equal).to(dtype).eval()
    for y in range(3):
        found, wanted = certify(model, x, y), certify(other, x, y)
        torch.testing.assert_close(found.lower, wanted.lower, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, kept)


class Windows(nn.Module):
    """Windows of images joined with the batch's axis, and taken apart again, as Swin does."""

    def __init__(self, size=2):
        super().__init__()
        torch.manual_seed(0)
        self.size, self.mix, self.last = size, nn.Linear(3, 3), nn.Linear(48, 2)

    def forward(self, x):
        w, (batch, height, width, channels) = self.size, x.shape
        x = x.view(batch, height // w, w, width // w, w, channels)
        windows = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, channels)
        windows = self.mix(windows).relu()
        count = int(windows.shape[0] / (height * width / w / w))
        x = windows.view(count, height // w, width // w, w, w, -1)
        return self.last(x.permute(0, 1, 3, 2, 4, 5).reshape(count, height, width, -1).flatten(1))


@pytest.mark.parametrize("dtype", [torch.float64, *TYPES])
def test_windows_that_are_joined_with_the_batch_have_bounds(dtype):
    check_contains(Windows().to(dtype).eval(), inputs(3, 4, 4, 3).to(dtype))


def test_a_model_that_was_built_in_inference_mode_has_bounds():
    plain = Function(Function.net).eval()
    with torch.inference_mode():
        model = Function(Function.net).eval()
    for name in CERTIFIERS:
        for y in range(3):
            found, wanted = (certify(each, inputs(2, 4), y, name) for each in (model, plain))
            torch.testing.assert_close(found.lower, wanted.lower, rtol=1e-6, atol=1e-6)


def test_data_parallel_on_the_cpu_has_the_bounds_of_its_module():
    plain = Function(Function.net).eval()
    for y in range(3):
        found, wanted = (certify(each, inputs(2, 4), y) for each in (nn.DataParallel(plain).eval(), plain))
        torch.testing.assert_close(found.lower, wanted.lower, rtol=1e-6, atol=1e-6)


# refusals that a model catches, constants with steps, types shorter than the model's, tensors of another shape


def caught(m, x):
    with contextlib.suppress(Exception):
        return m.net(x) if bool(x.mean() > 0.58) else -m.net(x)
    return m.net(x)


def caught_array(m, x):
    with contextlib.suppress(Exception):
        return m.net(x) * float(x.detach().numpy()[0, 0] > 0.5)
    return m.net(x)


@pytest.mark.parametrize("function", [caught, caught_array])
def test_a_refusal_that_the_model_catches_is_a_refusal(function):
    refused(Function(function).eval(), inputs(2, 4))


def nearest(m, x):
    places = (torch.linspace(0, 1, 7, dtype=x.dtype) * 6).long() % 4
    return m.net(x[:, places][:, 2:6])


def steps(m, x):
    return m.net(x) + torch.round(torch.full((3,), 0.35, dtype=x.dtype) / 0.1) * 0.1


@pytest.mark.parametrize("function", [nearest, steps])
def test_constants_with_steps_are_those_of_the_model(function):
    model, x = Function(function).eval(), inputs(2, 4)
    for y in range(3):
        proof = certify(model, x, y, eps=0)
        with torch.no_grad():
            own = model(x.clone())
        rows = Property.margins(torch.full((len(x),), y), 3).weights
        values = torch.einsum("bko,bo->bk", rows, own)
        torch.testing.assert_close(proof.lower.float(), values, rtol=1e-4, atol=1e-4)


def half_sum(m, x):
    return m.net(x) + 700 * m.net(x).sum(1, keepdim=True, dtype=torch.float16).to(x.dtype)


def half_in_place(m, x):
    short = m.net(x).half() * 300
    short += m.net(x) * 0.123
    return short.to(x.dtype)


def half_number(m, x):
    return m.net(x) + m.net(x).half().masked_fill(torch.tensor([True, False, True]), 1000.3).to(x.dtype)


@pytest.mark.parametrize("function", [half_sum, half_in_place, half_number])
def test_parts_in_half_precision_are_rounded_as_the_model_does(function):
    model, x = Function(function).eval(), inputs(3, 4)
    with torch.no_grad():
        own = model(x.clone())
    for name, y in itertools.product(("crown", "interval"), range(3)):
        proof = certify(model, x, y, name, eps=0)
        rows = Property.margins(torch.full((len(x),), y), 3).weights
        values = torch.einsum("bko,bo->bk", rows, own)
        assert bool((proof.lower - proof.error <= values + 1e-4 * (1 + own.abs().amax())).all()), (name, y)


def test_a_parameter_that_gets_another_shape_is_captured_anew():
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), inputs(2, 4)
    certify(model, x, 0)
    model[0].weight.data, model[0].bias.data = model[0].weight.data[:5], model[0].bias.data[:5]
    model[2].weight.data = model[2].weight.data[:, :5]
    check_as_a_copy(model, x)


def test_an_output_whose_form_depends_on_gradients_is_refused():
    model = Function(lambda m, x: (m.net(x), x) if torch.is_grad_enabled() else m.net(x)).eval()
    with pytest.raises(InputError, match="a tuple of the tensors"):
        certify(model, inputs(2, 4), 0, eps=0.01)


def test_numbers_that_are_read_as_another_type_are_refused():
    refused(Function(lambda m, x: m.net(x.view(torch.int32).view(torch.float32))).eval(), inputs(2, 4))


class Switched(nn.Module):
    """A layer that does something else for several examples once its flag is set."""

    def __init__(self, several):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.several, self.flag = nn.Linear(3, 2), several, False

    def forward(self, x):
        h = self.layer(x)
        return self.several(h) if self.flag and x.shape[0] > 1 else h


OTHERS = {"their mean": lambda h: h - 9 * h.mean(0, keepdim=True), "their number": lambda h: -h}


def switch(model):
    model.flag = True


def hook(model):
    model.layer.register_forward_hook(lambda _, given, h: model.several(h) if len(h) > 1 else h)


@pytest.mark.parametrize("change", [switch, hook], ids=["attribute", "hook"])
@pytest.mark.parametrize("several", OTHERS)
def test_a_change_that_makes_examples_depend_on_their_batch_is_refused(several, change):
    model, x = Switched(OTHERS[several]).eval(), torch.rand(4, 3)
    certify(model, x, 0)
    change(model)
    refused(model, x, match="batches of 1 and 2 differ")
