"""Cases in which a capture by class and by one comparison gave false certificates. Each case is a test, with its kinds."""

import contextlib
import copy
import io
import itertools
import warnings

import pytest
import torch
import torch.nn.functional as F
from captured_functions import F64, OF_THE_BATCH, Function, functions_of_the_batch_are_refused, inputs, logits, refused
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, ExampleRNG, Property, ThreatModel, UnsupportedError

CERTIFIERS = [
    "interval()",
    "dual()",
    "crown()",
    "alpha(steps=2, layers='all', keep_maximising=True)",
    "certifier_cascade(steps=0)",
]
# the place that a refusal names: the line is in this file
HERE = r"test_capture_cases\.py"


def points(x, threat):
    """Corners of the set's box and samples; all are members, (P, B, *S)."""
    low, high = threat.hull(x)
    size = x[0].numel()
    signs = torch.tensor(list(itertools.product([False, True], repeat=size))).view(-1, 1, *x.shape[1:])
    rng = ExampleRNG(0, torch.arange(len(x)))
    found = [torch.where(signs, high, low), *(threat.sample(x, rng=rng)[None] for _ in range(12))]
    found = torch.cat([*found, torch.zeros_like(x)[None]])
    flat = threat.contains(found.flatten(0, 1), x.expand(len(found), *x.shape).flatten(0, 1), tol=1e-9)
    return found * flat.view(*found.shape[:2], *(1,) * (x.ndim - 1))


def check_holds(model, x, spec="linf(eps=0.1, bounds=None)", certifiers=CERTIFIERS, y=None):
    """The certificates. Every bound is finite, and no point of the set has a value below it."""
    threat, classes = inradius.make(spec, ThreatModel), model(x).shape[1]
    y = model(x).argmax(1) if y is None else y
    rows = Property.margins(y, classes, dtype=x.dtype).weights
    deltas = points(x, threat)
    with torch.no_grad():
        # each example alone, which is the certified function
        values = torch.stack([torch.cat([model((x + d)[i : i + 1]) for i in range(len(x))]) for d in deltas])
    lowest = torch.einsum("bko,pbo->pbk", rows, values).amin(0)
    proofs = {name: inradius.make(name, Certifier)(model, x, y, threat) for name in certifiers}
    for name, proof in proofs.items():
        assert bool(proof.lower.isfinite().all()), (name, proof.lower)
        assert bool((proof.lower - proof.error <= lowest + 1e-9 * (1 + lowest.abs())).all()), (
            name,
            proof.lower,
            lowest,
        )
    return proofs


# a product or a quotient in which the model's own input stands


@pytest.mark.parametrize("name", [*CERTIFIERS, "lp()"])
def test_a_square_of_the_input_is_no_constant(name):
    model = Function(lambda m, x: torch.cat([0.4 - x * x, 0 * x], dim=1), 1).double()
    x, y = torch.full((1, 1), 0.6, dtype=F64), torch.tensor([0])
    proof = inradius.make(name, Certifier)(model, x, y, inradius.make("linf(eps=0.1)", ThreatModel))
    assert not bool(proof.certified.any())
    assert float(proof.lower) <= 0.4 - 0.7**2 + 1e-6
    near = inradius.make(name, Certifier)(model, x, y, inradius.make("linf(eps=0.01)", ThreatModel))
    assert bool(near.certified.all())


def highway(m, x):
    h, t = m.first(x).tanh(), torch.sigmoid(m.gate(x))
    return h * t + x * (1 - t)


def self_attention(m, x):
    return torch.softmax(x @ x.transpose(1, 2), dim=-1) @ x


def attention_pooling(m, x):
    return (torch.softmax(x @ m.score[: x.shape[-1]], dim=1).unsqueeze(-1) * x).sum(1)


OWN_INPUT = {
    "x·x": (lambda m, x: x * x, (3,)),
    "x**2": (lambda m, x: x**2 - x, (3,)),
    "x·sigmoid(x)": (lambda m, x: x * torch.sigmoid(x), (3,)),
    "sigmoid(x)·x": (lambda m, x: torch.sigmoid(x) * x, (3,)),
    "x·sigmoid(Wx)": (lambda m, x: x * torch.sigmoid(m.gate(x)), (3,)),
    "x/(x+.5)": (lambda m, x: x.abs() / (x.abs() + 0.5), (3,)),
    "x/x.sum()": (lambda m, x: x.square() / x.square().sum(1, keepdim=True), (3,)),
    "h·t+x·(1−t)": (highway, (3,)),
    "self-attention": (self_attention, (3, 2)),
    "attention pooling": (attention_pooling, (3, 2)),
    "xᵀPx": (lambda m, x: (x @ m.matrix * x).sum(1, keepdim=True) + x, (3,)),
    "x@x": (lambda m, x: x @ x.transpose(1, 2), (2, 3)),
    "x·c·x": (lambda m, x: x * m.plain * x, (3,)),
    "view of x": (lambda m, x: x.view(x.shape[0], -1) * x.flip(1), (3,)),
}


@pytest.mark.parametrize(
    ("name", "spec"), in_turn([*OWN_INPUT], ["linf(eps=0.1, bounds=None)", "l2(eps=0.3, bounds=None)"])
)
def test_the_input_in_products_and_quotients(name, spec):
    function, shape = OWN_INPUT[name]
    check_holds(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(3, *shape), spec)


@pytest.mark.parametrize("spec", ["linf(eps=0.05)", "linf(eps=0.1, bounds=None)"])
def test_quotients_of_the_input(spec):
    x = 0.4 + 0.2 * torch.rand(3, 3, dtype=F64, generator=torch.Generator().manual_seed(1))
    for function in (lambda m, x: x / (x + 0.5), lambda m, x: x / x.sum(1, keepdim=True), lambda m, x: 1 / (x + 0.25)):
        check_holds(Function(lambda m, x, f=function: logits(f(m, x))).double().eval(), x, spec)


@pytest.mark.parametrize("name", CERTIFIERS)
@pytest.mark.parametrize("function", [lambda m, x: 1 / x, lambda m, x: x.reciprocal(), lambda m, x: m.plain / x])
def test_a_reciprocal_of_the_input_has_bounds_or_a_sentence(function, name):
    model = Function(lambda m, x: logits(function(m, x))).eval()
    threat = inradius.make("linf(eps=0.01, bounds=None)", ThreatModel)
    x = torch.tensor([[0.5, 0.75, 1.0]])
    with contextlib.suppress(UnsupportedError):
        proof = inradius.make(name, Certifier)(model, x, model(x).argmax(1), threat)
        assert bool(proof.lower.isfinite().all())


# a value that is detached from gradients is still a value


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.first(x) + 3 * m.second(x.detach()),
        lambda m, x: x.tanh() - 2 * x.detach(),
        lambda m, x: m.first(m.second(x).detach()).relu(),
        lambda m, x: m.first(x) + m.second(x.data),
        lambda m, x: _without_gradient(m, x) + m.first(x).relu(),
    ],
)
def test_a_detached_branch_counts(function):
    check_holds(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(3, 3))


def _without_gradient(m, x):
    with torch.no_grad():
        return 2 * m.second(x)


# the operators that run count, and not the class of a layer


class Doubled(nn.Conv2d):
    def _conv_forward(self, value, weight, bias):
        return super()._conv_forward(value, -2 * weight, bias)


class Called(nn.Linear):
    def __call__(self, value):
        return 1 - 3 * super().__call__(value)


class Backwards(nn.ReLU):
    def __call__(self, value):
        return super().__call__(-value)


OVERRIDDEN = {
    "_conv_forward": (lambda: nn.Sequential(Doubled(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)), (1, 3, 3)),
    "__call__": (lambda: nn.Sequential(Called(3, 4), nn.ReLU(), nn.Linear(4, 3)), (3,)),
    "__call__ of a curve": (lambda: nn.Sequential(nn.Linear(3, 4), Backwards(), nn.Linear(4, 3)), (3,)),
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overridden_internals_are_what_runs(name):
    build, shape = OVERRIDDEN[name]
    torch.manual_seed(0)
    check_holds(build().double().eval(), inputs(2, *shape))


def small(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double().eval()


def test_hooks_of_the_model_are_what_runs():
    model = small()
    model.register_forward_hook(lambda module, given, out: -2 * out + 0.5)
    check_holds(model, inputs(3, 3))
    model = small()
    model.register_forward_pre_hook(lambda module, given: (3 * given[0].flip(1),))
    check_holds(model, inputs(3, 3))


def add_hook(model):
    model[0].register_forward_hook(lambda module, given, out: -out)


def add_pre_hook(model):
    model[2].register_forward_pre_hook(lambda module, given: (given[0] - 1,))


def add_root_hook(model):
    model.register_forward_hook(lambda module, given, out: out.flip(1))


def replace_forward(model):
    layer = model[0]
    layer.forward = lambda value: F.linear(value, -layer.weight, layer.bias)


def replace_class(model):
    model[0].__class__ = Called


def replace_activation(model):
    model[1] = nn.Tanh()


@pytest.mark.parametrize(
    "change", [add_hook, add_pre_hook, add_root_hook, replace_forward, replace_class, replace_activation]
)
def test_a_change_after_the_first_certificate_is_seen(change):
    model, x = small(), inputs(3, 3)
    check_holds(model, x)
    change(model)
    found = check_holds(model, x)
    # a model that had the change from the beginning
    fresh = small()
    change(fresh)
    for name, proof in check_holds(fresh, x).items():
        torch.testing.assert_close(found[name].lower, proof.lower)


def test_a_hook_that_is_gone_is_gone():
    model, x = small(), inputs(3, 3)
    before = check_holds(model, x)
    handle = model[0].register_forward_hook(lambda module, given, out: -out)
    check_holds(model, x)
    handle.remove()
    for name, proof in check_holds(model, x).items():
        torch.testing.assert_close(proof.lower, before[name].lower)


# models that are random, that count, or that branch are refused by the operator's name


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda m, x: m.first(x) + 1e-3 * torch.randn(3), "randn|normal"),
        (lambda m, x: m.first(x) + 1e-3 * torch.randn_like(x), "randn|normal"),
        (lambda m, x: m.first(x) * (1 + 1e-4 * torch.rand(x.shape[0], 1)), "rand|uniform"),
        (lambda m, x: F.dropout(m.first(x), 0.5, training=True), "dropout|bernoulli|rand"),
        (lambda m, x: m.first(x)[:, torch.randperm(3)], "randperm|rand"),
        (lambda m, x: m.first(x) + torch.empty(3).normal_(0, 1e-4), "normal"),
        (lambda m, x: m.first(x) * torch.bernoulli(torch.full((3,), 0.5)), "bernoulli"),
    ],
    ids=["randn", "randn_like", "rand", "dropout", "randperm", "normal_", "bernoulli"],
)
def test_what_is_random_is_refused(function, match):
    refused(Function(lambda m, x: logits(function(m, x))).eval(), inputs(2, 3).float(), match)


def counted(m, x):
    m.calls += 1
    return m.first(x) * (1 + 0.25 * m.calls)


def alternating(m, x):
    m.calls += 1
    return m.first(x) if m.calls % 2 else -m.first(x)


def remembering(m, x):
    m.mean = m.mean + 0.5 * x.detach().mean()
    return m.first(x) + m.mean


@pytest.mark.parametrize("function", [counted, alternating, remembering])
def test_what_changes_from_call_to_call_is_refused(function):
    refused(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(2, 3), ".")


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.first(x) if x.sum() > 0 else -m.first(x),
        lambda m, x: m.first(x) if m.first(x).max() > 0.2 else m.second(x),
        lambda m, x: m.first(x) * float(x[0, 0].detach()),
        lambda m, x: m.first(x) * x.sum().item(),
        lambda m, x: m.first(x) + len(x[0].nonzero()),
        lambda m, x: m.first(x) * bool((x > 0).any()),
        lambda m, x: m.first(x) + torch.tensor(x.detach().tolist(), dtype=x.dtype),
        lambda m, x: m.first(x) + torch.from_numpy(x.detach().numpy()),
    ],
    ids=["sum", "max", "float", "item", "nonzero", "bool", "tolist", "numpy"],
)
def test_branches_on_values_are_refused(function):
    refused(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(2, 3), ".")


# a model may notice the recording, and compute something else in a plain run


def swallowed(m, x):
    try:
        return m.first(x) * (1.0 if float(x.detach().sum()) > -1e9 else 2.0)
    except Exception:
        return -m.first(x)


def modes(m, x):
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    return -m.first(x) if _get_current_dispatch_mode_stack() else m.first(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.first(x) if type(x) is torch.Tensor else -m.first(x),
        lambda m, x: m.first(x) if type(m.first(x)) is torch.Tensor else -m.first(x),
        lambda m, x: m.first(x) if x.data_ptr() else -m.first(x),
        swallowed,
        modes,
    ],
    ids=["type", "type of a value", "address", "swallowed error", "modes"],
)
def test_what_runs_when_nobody_looks_is_certified(function):
    model = Function(lambda m, x: logits(function(m, x))).double().eval()
    with contextlib.suppress(UnsupportedError):
        check_holds(model, inputs(3, 3))


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.first(x) if torch.is_grad_enabled() else -m.first(x),
        lambda m, x: m.first(x) if x.requires_grad else -m.first(x),
    ],
    ids=["gradients enabled", "gradient wanted"],
)
def test_what_depends_on_gradients_is_refused(function):
    """An attack runs the model with gradients, whoever uses it runs it without."""
    refused(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(2, 3), ".")


# values that share memory, and operators without a rule


def through_a_view(m, x):
    h = m.first(x)
    h[:, 0].mul_(-2)
    return h


def behind_a_use(m, x):
    h = m.first(x)
    early = h.relu()
    h.mul_(-3)
    return early + h


def into_zeros(m, x):
    h = torch.zeros(x.shape[0], 3, dtype=x.dtype)
    h[:, 0] += x[:, 0]
    h[:, 1:] = -x[:, 1:]
    return h


def into_out(m, x):
    h = torch.empty_like(x)
    torch.mul(x, x, out=h)
    return h


def through_a_detached(m, x):
    h = m.first(x)
    h.detach().mul_(-2)
    return h


def through_data(m, x):
    h = x.clone()
    h.data.mul_(-2)
    return h


def masked(m, x):
    h = m.first(x)
    h[h < 0] = 0.5
    return h


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(context, z):
        return -z * z

    @staticmethod
    def backward(context, gradient):
        return gradient


SHARED = {
    "through_a_view": through_a_view,
    "behind_a_use": behind_a_use,
    "into_zeros": into_zeros,
    "into_out": into_out,
    "through_a_detached": through_a_detached,
    "through_data": through_data,
    "masked": masked,
    "as_strided": lambda m, x: x.flip(1).as_strided((x.shape[0], 3), (3, 1)) * 2,
    "straight through": lambda m, x: Straight.apply(m.first(x)),
    "half": lambda m, x: m.first(x).half().to(x.dtype),
    "autocast": lambda m, x: _autocast(m, x).to(x.dtype),
    "where": lambda m, x: torch.where(x > 0.1, m.first(x), -m.second(x)),
    "round": lambda m, x: m.first(x).round() + x,
    "integer": lambda m, x: m.first(x).long().to(x.dtype) + x,
    "embedding": lambda m, x: m.matrix[(x[:, 0] > 0).long()] + m.first(x),
    "permutation": lambda m, x: m.first(x)[:, [2, 0, 1]],
    "index of a tensor": lambda m, x: m.first(x)[..., torch.tensor([2, 0, 0])] * m.first(x),
    "gather": lambda m, x: torch.gather(m.first(x), 1, x.argsort(1)),
    "clamp": lambda m, x: torch.clamp(m.first(x), max=x),
    "prelu": lambda m, x: F.prelu(m.first(x), m.score),
    "threshold": lambda m, x: F.threshold(m.first(x), 0.1, 20.0),
    "normalize": lambda m, x: F.normalize(x),
    "remainder": lambda m, x: x.remainder(0.3) + m.first(x),
    "kron": lambda m, x: torch.kron(x, m.score[None]),
    "unfold": lambda m, x: x.unfold(1, 2, 1).sum(2) * 2,
    "one by one": lambda m, x: torch.stack([m.first(row).relu() for row in x]),
}


def _autocast(m, x):
    with torch.autocast("cpu", torch.bfloat16):
        return m.first(x)


@pytest.mark.parametrize("name", SHARED)
def test_bounds_hold_or_there_is_a_sentence(name):
    x, kept = inputs(3, 3, seed=4), inputs(3, 3, seed=4)
    with contextlib.suppress(UnsupportedError):
        check_holds(Function(lambda m, x: logits(SHARED[name](m, x))).double().eval(), x, "linf(eps=0.15, bounds=None)")
    assert torch.equal(x, kept)


@pytest.mark.parametrize("name", ["permutation", "index of a tensor", "straight through", "kron", "unfold"])
def test_these_have_bounds(name):
    check_holds(Function(lambda m, x: logits(SHARED[name](m, x))).double().eval(), inputs(3, 3))


# functions of the batch


def test_statistics_of_the_batch_are_refused():
    model = Function(lambda m, x: logits(F.batch_norm(m.first(x), None, None, training=True))).double().eval()
    refused(model, inputs(3, 3), rf"batch_norm|{HERE}|batch|examples|more than 1", input_error=True)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_functions_of_the_batch_are_refused(name, count):
    functions_of_the_batch_are_refused(name, count)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.first(x).view(x.shape[0], -1),
        lambda m, x: m.first(x) + m.plain.to(x).expand(x.shape[0], -1),
        lambda m, x: m.first(x) - torch.zeros(x.shape[0], 3, dtype=x.dtype),
        lambda m, x: torch.bmm(x[:, None], m.matrix.expand(len(x), -1, -1))[:, 0],
        lambda m, x: m.first(x) if x.shape[1] > 2 else x,
    ],
    ids=["view", "expand", "zeros", "bmm", "branch on features"],
)
def test_sizes_of_the_batch_that_change_no_value_are_fine(function):
    check_holds(Function(lambda m, x: logits(function(m, x))).double().eval(), inputs(3, 3))


# certifying changes nothing


def reassigns(m, x):
    m.mean = m.mean * 1
    return m.first(x)


def stores(m, x):
    m.kept = m.first(x)
    return m.kept


def counts_only(m, x):
    m.calls += 1
    return m.first(x)


def adds_to_a_buffer(m, x):
    m.mean.add_(1)
    return m.first(x)


@pytest.mark.parametrize("function", [reassigns, stores, counts_only, adds_to_a_buffer])
def test_certifying_leaves_the_model_as_it_was(function):
    model, x = Function(function).double(), inputs(2, 3)
    model.first.eval()
    threat, y = inradius.make("linf(eps=0.01, bounds=None)", ThreatModel), torch.tensor([0, 1])
    before, state = (
        {name: copy.deepcopy(value) for name, value in vars(model).items()},
        copy.deepcopy(model.state_dict()),
    )
    for name in ("interval()", "crown()"):
        with contextlib.suppress(UnsupportedError):
            inradius.make(name, Certifier)(model, x, y, threat)
    assert vars(model).keys() == before.keys()
    assert model.calls == before["calls"]
    assert [module.training for module in model.modules()] == [True, False, True, True]
    for name, value in model.state_dict().items():
        assert type(value) is torch.Tensor
        assert torch.equal(value, state[name]), name
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    # a lambda cannot be pickled, the state can
    torch.save(model.state_dict(), io.BytesIO())
    torch.save({name: value for name, value in vars(model).items() if name != "function"}, io.BytesIO())


class Saved(nn.Module):
    """A module that can be pickled as a whole, with a buffer that its forward replaces."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = torch.zeros_like(self.seen)
        return self.layer(x)


def test_a_model_can_be_saved_after_a_certificate():
    model, x = Saved().eval(), inputs(2, 3).float()
    outputs = model(x)
    inradius.make("dual()", Certifier)(
        model, x, outputs.argmax(1), inradius.make("linf(eps=0.01, bounds=None)", ThreatModel)
    )
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), outputs)
    assert torch.equal(model(x), outputs)
    assert torch.equal(copy.deepcopy(model)(x), outputs)


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Linear(3, 1))


class NearTie(nn.Module):
    """Two logits that differ by 1e-7 at every input, which is beyond float32 for values near 1."""

    def __init__(self, inner):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.plain = inner, torch.tensor([1.25])
        self.shift = nn.Parameter(torch.tensor(1e-7))

    def forward(self, x):
        h = self.inner(x) * self.plain
        return torch.cat([h, h - self.shift], dim=1)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Linear(3, 1),
        old_weight_norm,
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 1)),
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 1)),
    ],
    ids=["plain tensor", "old weight norm", "weight norm", "spectral norm"],
)
def test_the_pass_in_float64_needs_no_copy_of_the_model(build):
    torch.manual_seed(1)
    model = NearTie(build()).eval()
    x, y = torch.rand(2, 3), torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        proof = inradius.make("dual()", Certifier)(model, x, y, inradius.make("linf(eps=0.001)", ThreatModel))
    assert bool(proof.certified.all())
    assert proof.precision.tolist() == [64, 64]
    assert model.plain.dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())


# training through bounds


class Trained(nn.Module):
    """Products of values and of the input, weights made in forward, batch norm and a plain constant."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.gain, self.direction = nn.Parameter(torch.rand(4, 1) + 0.5), nn.Parameter(torch.randn(4, 4))
        self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.plain, self.factor = torch.tensor([1.0, -0.5, 2.0]), 1.0
        with torch.no_grad():
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, x):
        h = self.norm(self.first(x)).relu()
        weight = self.gain * self.direction / self.direction.norm(dim=1, keepdim=True)
        h = F.linear(h, weight) * torch.sigmoid(h)
        return (self.inner(h) * self.plain.to(h) + x * torch.sigmoid(x)) * self.factor


def bound_of(model, x, y, name="dual()", eps=0.02):
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    return inradius.make(name, Certifier).bound(model, x, y, threat)


@pytest.mark.parametrize("name", ["interval()", "dual()", "crown()", "crown(inner='interval')"])
def test_gradients_of_bounds_are_finite_differences(name):
    model, x = Trained().double().eval(), inputs(4, 3)
    y = model(x).argmax(1)
    bound_of(model, x, y, name).sum().backward()
    parameters = list(model.parameters())
    assert all(value.grad is not None and bool(value.grad.isfinite().all()) for value in parameters)
    for parameter in parameters:
        way = torch.randn(parameter.shape, dtype=F64, generator=torch.Generator().manual_seed(parameter.numel()))
        step, values = 1e-6, []
        for sign in (1, -2):
            with torch.no_grad():
                parameter.add_(sign * step * way)
                values.append(float(bound_of(model, x, y, name).sum()))
        with torch.no_grad():
            parameter.add_(step * way)
        difference = (values[0] - values[1]) / (2 * step)
        assert float((parameter.grad * way).sum()) == pytest.approx(difference, rel=1e-4, abs=1e-6)


def one_step(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(inputs(4, 3).to(model.gain)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def loaded(model):
    model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()})


def assigned(model):
    state = {name: value * 1.5 for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def scaled_data(model):
    model.first.weight.data.mul_(-1.25)
    model.norm.running_mean.data.mul_(3)


def scaled_plain(model):
    model.plain.mul_(-2)


def new_plain(model):
    model.plain = model.plain * -2


def new_factor(model):
    model.factor = -1.5


def replaced_parameter(model):
    model.first.weight = nn.Parameter(model.first.weight.detach() * -1.5)
    model.gain = nn.Parameter(model.gain.detach() * 2)


def replaced_data(model):
    model.first.weight.data = model.first.weight.data * -2


def numpy_written(model):
    # no version counter records this change
    model.first.weight.detach().numpy()[:] *= -1.5


def float32(model):
    model.to(torch.float32)


CHANGES = [
    one_step, loaded, assigned, scaled_data, scaled_plain, new_plain, new_factor, replaced_parameter, replaced_data,
    numpy_written, float32,
]  # fmt: skip


@pytest.mark.parametrize(("change", "name"), in_turn(CHANGES, ["interval()", "dual()", "alpha(steps=3)"]))
def test_a_certificate_is_that_of_the_model_as_it_is_now(change, name):
    model, x = Trained().double().eval(), inputs(4, 3)
    y = model(x).argmax(1)
    threat, certifier = inradius.make("linf(eps=0.02, bounds=None)", ThreatModel), inradius.make(name, Certifier)
    before = certifier(model, x, y, threat)
    change(model)
    # parametrizations and plain tensors follow ``to`` or not; a fresh module with all that this one holds
    fresh = copy.deepcopy(model)
    x = x.to(model.gain.dtype)
    after, expected = certifier(model, x, y, threat), certifier(fresh, x, y, threat)
    torch.testing.assert_close(after.lower, expected.lower, rtol=0, atol=0)
    assert torch.equal(after.certified, expected.certified)
    assert change is float32 or not torch.allclose(after.lower, before.lower)


# modules that torch runs by one operator of its own


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: nn.LSTM(2, 3, batch_first=True), (3, 2)),
        (lambda: nn.GRU(2, 3, batch_first=True), (3, 2)),
        (lambda: nn.MultiheadAttention(2, 1, batch_first=True), (3, 2)),
        (lambda: nn.TransformerEncoderLayer(2, 1, 4, batch_first=True), (3, 2)),
        (lambda: nn.Bilinear(3, 3, 3), (3,)),
        (lambda: nn.GroupNorm(1, 2), (2, 3)),
        (lambda: nn.LogSoftmax(1), (3,)),
        (lambda: nn.Upsample(scale_factor=2), (1, 2, 2)),
    ],
    ids=[
        "LSTM",
        "GRU",
        "MultiheadAttention",
        "TransformerEncoderLayer",
        "Bilinear",
        "GroupNorm",
        "LogSoftmax",
        "Upsample",
    ],
)
def test_layers_of_torch_have_bounds_that_hold_or_a_sentence(build, shape):
    torch.manual_seed(0)
    layer = build().double().eval()

    def forward(m, x):
        given = (x, x, x) if isinstance(layer, nn.MultiheadAttention) else (x,) * (1 + isinstance(layer, nn.Bilinear))
        out = m.layer(*given)
        return logits(out[0] if isinstance(out, tuple) else out)

    model = Function(forward).double().eval()
    model.layer = layer
    x = inputs(2, *shape)
    with contextlib.suppress(UnsupportedError):
        check_holds(model, x, "linf(eps=0.01, bounds=None)", ["interval()", "dual()"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_is_certified_as_it_is_written():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    inner = nn.Sequential(nn.Linear(4, 6), torch.compile(nn.ReLU()), nn.Linear(6, 3)).eval()
    inner.load_state_dict(model.state_dict())
    x, y, threat = torch.rand(3, 4), torch.tensor([0, 1, 2]), inradius.make("linf(eps=0.1)", inradius.ThreatModel)
    certifier = inradius.make("crown()", inradius.Certifier)
    expected = certifier(model, x, y, threat)
    for handed in (torch.compile(model), nn.DataParallel(model), inner):
        found = certifier(handed, x, y, threat)
        assert torch.equal(found.lower, expected.lower)
        assert torch.equal(certifier.bound(handed, x, y, threat), certifier.bound(model, x, y, threat))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_script_is_refused():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    x, y, threat = torch.rand(3, 4), torch.tensor([0, 1, 2]), inradius.make("linf(eps=0.1)", inradius.ThreatModel)
    traced = torch.jit.trace(model, x)
    with pytest.raises(inradius.UnsupportedError, match="is TorchScript, or has a part that is"):
        inradius.make("crown()", inradius.Certifier)(traced, x, y, threat)
