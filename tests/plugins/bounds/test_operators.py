"""Operators of torch, each in a small network: bounds hold for every value, and boxes are exact where functions are monotone."""

import itertools

import pytest
import torch
from in_turn import in_turn
from operator_cases import OPERATORS, Applied, made

import inradius
from inradius import Attack, Certifier, ThreatModel, UnsupportedError
from inradius.outcomes.property import Property
from inradius_bounds.backward.certifier_bounds import values_of

PROOFS = ["interval()", "crown()", "dual()", "alpha()", "alpha(layers='all')", "lp()", "certifier_cascade()"]
LINEAR = [
    "bilinear", "bilinear_aligned", "bicubic", "linear", "trilinear", "antialiased", "nearest_exact", "reflection_pad",
    "replication_pad", "circular_pad", "fold", "cumsum",
]  # fmt: skip


def points(shape, count=3, seed=0):
    return torch.randn(count, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def members(threat, x, count=40):
    """Perturbations in the set: corners, and points drawn from it."""
    generator = torch.Generator().manual_seed(2)
    signs = torch.randn(count, *x.shape, dtype=x.dtype, generator=generator)
    drawn = [threat.linear_max(sign, x) for sign in signs]
    return torch.stack(
        [*drawn, *(share * delta for share, delta in zip(torch.rand(count, generator=generator), drawn, strict=True))]
    )


def every_second(first):
    """The operators, of which every second one is in the default run."""
    return [
        pytest.param(name, marks=pytest.mark.slow if (place + first) % 2 else ())
        for place, name in enumerate(OPERATORS)
    ]


@pytest.mark.parametrize(("name", "eps"), in_turn([*OPERATORS], [0.02, 0.5]))
def test_no_value_of_the_network_is_below_a_bound(name, eps):
    model, shape = made(name)
    x, threat = points(shape), inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    eye = torch.eye(3, dtype=x.dtype)
    prop = Property(torch.cat([eye, -eye]).expand(len(x), 6, 3), torch.zeros(len(x), 6, dtype=x.dtype))
    with torch.no_grad():
        points_of_set = x + members(threat, x)
        values = model(points_of_set.flatten(0, 1)).unflatten(0, points_of_set.shape[:2])
    seen = torch.cat([values.amin(0), -values.amax(0)], dim=1)
    for spec in ("interval()", "crown()"):
        found = inradius.make(spec, Certifier)(model, x, None, threat, prop=prop).lower
        assert bool((found <= seen + 1e-9).all()), f"{spec} of {name}: {found} above {seen}"
        if eps < 0.1 and spec == "crown()":
            assert bool(found.isfinite().all())


@pytest.mark.parametrize("name", every_second(0))
def test_no_attack_breaks_what_is_certified(name):
    model, shape = made(name, torch.float32)
    x, threat = points(shape, 6, seed=3).float(), inradius.make("linf(eps=0.05, bounds=None)", ThreatModel)
    y = model(x).argmax(1)
    proof = inradius.make("crown()", Certifier)(model, x, y, threat)
    attack = inradius.make("pgd(steps=8, objective=margin(), keep_maximising=True)", Attack)
    found = attack(model, x, y, threat)
    assert not bool((proof.certified & found.success).any())
    value = proof.lower.amin(1)
    assert bool((value <= found.margin.to(value) + 1e-4).all())


@pytest.mark.parametrize("name", every_second(1))
def test_at_radius_0_the_bound_is_the_value(name):
    model, shape = made(name)
    x, threat = points(shape), inradius.make("linf(eps=0, bounds=None)", ThreatModel)
    with torch.no_grad():
        logits = model(x)
    y = logits.argmax(1)
    margins = (logits.gather(1, y[:, None]) - logits).sort(1)[0][:, 1:]
    found = inradius.make("crown()", Certifier)(model, x, y, threat).lower.sort(1)[0]
    torch.testing.assert_close(found, margins, atol=2e-4, rtol=1e-4)


UNLIMITED = {
    "clamp_below": lambda x, inf: x.clamp(min=-inf),
    "clamp_above": lambda x, inf: x.clamp(max=inf),
    "clamp": lambda x, inf: x.clamp(-inf, inf),
    "minimum": lambda x, inf: torch.minimum(x, inf),
    "maximum": lambda x, inf: torch.maximum(-inf, x),
}


@pytest.mark.parametrize(("name", "spec"), in_turn([*UNLIMITED], ["interval()", "dual()", "crown()", "alpha(steps=2)"]))
def test_infinite_limits_are_none(name, spec):
    """Bounds are those without limits where all are infinite, and no looser than those of the parts where some are."""
    x, threat = points((3,)), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    eye = torch.eye(3, dtype=x.dtype)
    prop = Property(torch.cat([eye, -eye]).expand(len(x), 6, 3), torch.zeros(len(x), 6, dtype=x.dtype))
    certifier, limit = inradius.make(spec, Certifier), UNLIMITED[name]

    def lower(function):
        return certifier(Applied(lambda x: function(2 * x)), x, None, threat, prop=prop).lower

    free = lower(lambda x: x)
    for limits in (torch.inf, [torch.inf] * 3, [torch.inf, 100.0, torch.inf]):
        far = torch.tensor(limits, dtype=x.dtype)
        torch.testing.assert_close(lower(lambda x, far=far: limit(x, far)), free)
    near = torch.tensor([torch.inf, 0.1, torch.inf], dtype=x.dtype)
    parts = lower(lambda x: torch.cat([x[:, :1], limit(x[:, 1:2], near[1:2]), x[:, 2:]], 1))
    assert bool((lower(lambda x: limit(x, near)) >= parts - 1e-9).all())


@pytest.mark.parametrize("name", LINEAR)
def test_linear_operators_have_exact_bounds(name):
    """The worst member of an ℓ∞ ball under a linear function is a corner that its gradient names."""
    model, shape = made(name)
    x, threat = points(shape, 1), inradius.make("linf(eps=0.3, bounds=None)", ThreatModel)
    y = model(x).argmax(1)
    x.requires_grad_()
    logits = model(x)
    rows = [logits[0, y[0]] - logits[0, j] for j in range(3) if j != int(y)]
    worst = [row - 0.3 * torch.autograd.grad(row, x, retain_graph=True)[0].abs().sum() for row in rows]
    proof = inradius.make("crown()", Certifier)(model, x.detach(), y, threat)
    torch.testing.assert_close(proof.lower[0].sort()[0], torch.stack(worst).detach().sort()[0])


@pytest.mark.parametrize(
    "name", ["amax", "amin", "max_dim", "max_pair", "max_pool_padded", "max_pool_ceil", "max_pool_3d"]
)
def test_the_box_of_a_maximum_is_exact_over_the_boxes_of_its_parts(name):
    """A maximum is monotone, so that its box is its value at the two ends of a box."""
    model, shape = made(name)
    x, threat = points(shape), inradius.make("linf(eps=0.5, bounds=None)", ThreatModel)
    with torch.no_grad():
        values = values_of(model, x, threat, about=False)
        before = next(
            node for node in values.network.nodes[1:] if node.operator is not None and len(node.stored) == len(shape)
        )
        low, high = values.box(before)
        # what the last layer is given
        last = values.network.result.sources[0]
        found = values.box(last)
        ends = [model[1](side.view(-1, *before.stored)).flatten(1) for side in (low, high)]
    for side, end in zip(found, ends, strict=True):
        torch.testing.assert_close(side.flatten(1), end, atol=1e-9, rtol=1e-9)


def test_a_maximum_over_a_window_is_not_loosened_by_its_pairs():
    """The interval bound of a maximum of 16 numbers is the largest of their bounds."""
    torch.manual_seed(0)
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)

    class Pooled(torch.nn.Module):
        def forward(self, x):
            found = torch.nn.functional.max_pool2d(x, 4).flatten(1)
            return torch.cat([found, torch.zeros_like(found)], dim=1)

    threat = inradius.make("linf(eps=0.5, bounds=None)", ThreatModel)
    found = inradius.make("interval()", Certifier)(Pooled(), x, torch.tensor([0]), threat).lower
    assert abs(float(found) - (float(x.amax()) - 0.5)) < 1e-9


class Undefined(torch.nn.Module):
    """Logits (1, 0) wherever the function is defined, NaN elsewhere."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        nothing = 0 * self.function(x[:, :1])
        return torch.cat([1 + nothing, nothing], dim=1)


@pytest.mark.parametrize(
    "spec", ["interval()", "crown()", "dual()", "alpha()", "alpha(layers='all')", "lp()", "certifier_cascade()"]
)
@pytest.mark.parametrize(
    "function",
    [torch.sqrt, torch.log, torch.log1p, lambda x: (1 / x).sqrt(), lambda x: x**1.5, lambda x: x.rsqrt()],
    ids=["sqrt", "log", "log1p", "root of reciprocal", "power", "rsqrt"],
)
@pytest.mark.filterwarnings("ignore:lp.. keeps the bound")
def test_a_network_that_may_leave_a_functions_domain_is_not_certified(function, spec):
    x = torch.full((1, 2), 0.2)
    wide, narrow = (inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel) for eps in (1.3, 0.1))
    certifier = inradius.make(spec, Certifier)
    assert not bool(certifier(Undefined(function), x, torch.tensor([0]), wide).certified)
    assert bool(certifier(Undefined(function), x, torch.tensor([0]), narrow).certified)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            lambda x: x.norm(p=3, dim=1, keepdim=True),
            "of order 3, which no layer rule covers; allowed are 1, 2 and inf",
        ),
        (lambda x: torch.pow(2.0, x), "pow with an exponent that is a tensor"),
        (lambda x: torch.sort(x, 1)[0], "sort"),
        (lambda x: torch.nn.functional.interpolate(x[:, None], size=3, mode="linear").sign(), "sign"),
        (lambda x: x.masked_fill(torch.arange(4) > 2, -torch.inf).exp(), "exp of numbers that may be -inf"),
        (lambda x: (-x.masked_fill(torch.arange(4) > 2, -torch.inf)).sigmoid(), "neg of numbers that may be -inf"),
        (
            lambda x: torch.cat([x.masked_fill(torch.arange(4) > 2, -torch.inf), x], 1).softmax(1),
            "cat of numbers that may be -inf",
        ),
    ],
    ids=["norm of order 3", "exponent", "sort", "sign", "exponential of -inf", "minus -inf", "joined -inf"],
)
def test_operators_without_bounds_are_refused_by_name(function, sentence):
    class Wrapped(torch.nn.Module):
        def forward(self, x):
            return torch.cat([function(x).flatten(1), x], dim=1)

    threat = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    with pytest.raises(UnsupportedError, match=sentence):
        inradius.make("crown()", Certifier)(Wrapped(), torch.rand(2, 4), torch.tensor([0, 1]), threat)


@pytest.mark.parametrize(
    ("layer", "states"),
    [
        (torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), 2),
        (torch.nn.LSTM(3, 4, proj_size=2), 2),
        (torch.nn.GRU(3, 4, num_layers=2, bias=False), 1),
        (torch.nn.RNN(3, 4, bidirectional=True), 1),
    ],
    ids=["lstm", "lstm with projection", "gru", "rnn"],
)
def test_recurrent_layers_as_steps_are_the_layers(layer, states):
    from inradius_bounds.capture.plain import plain_kernels

    torch.manual_seed(0)
    layer = layer.double().eval()
    x = torch.randn(5, 5, 3, dtype=torch.float64)
    with torch.no_grad():
        expected, ends = layer(x)
        with plain_kernels():
            found, last = layer(x)
    torch.testing.assert_close(found, expected)
    for one, other in zip(*((part,) if states == 1 else part for part in (last, ends)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("sizes", list(itertools.product([(1, 2), (0, 1)], [(2, 1), (0, 0)])))
def test_circular_padding_by_joins_is_torchs(sizes):
    from inradius_bounds.capture.plain import plain_kernels

    x, flat = torch.randn(2, 3, 4, 5), [*sizes[0], *sizes[1]]
    expected = torch.nn.functional.pad(x, flat, mode="circular")
    with plain_kernels():
        assert torch.equal(torch.nn.functional.pad(x, flat, mode="circular"), expected)


class Against(torch.nn.Module):
    """Two logits: a function of the input's first number, and another one."""

    def __init__(self, function, other):
        super().__init__()
        self.function, self.other = function, other

    def forward(self, x):
        return torch.cat([self.function(x[:, :1]), self.other(x[:, :1])], dim=1)


@pytest.mark.parametrize("spec", PROOFS)
def test_log_sigmoid_is_not_taken_for_its_asymptote(spec):
    """log σ(z) lies below z for every z; torch's softplus is linear from its threshold on, and its negative is not log σ."""
    model = Against(torch.nn.functional.logsigmoid, lambda x: x - 1e-10)
    x, threat = torch.tensor([[-22.0]], dtype=torch.float64), inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    assert not bool(inradius.make(spec, Certifier)(model, x, torch.tensor([0]), threat).certified)


@pytest.mark.parametrize("spec", PROOFS)
@pytest.mark.parametrize(
    ("dtype", "point", "eps"), [(torch.float32, 1000008.125, 0.125), (torch.float64, 9000000000000070.0, 1.0)]
)
@pytest.mark.filterwarnings("ignore:lp.. keeps the bound")
def test_a_grid_of_few_numbers_misses_no_maximum(spec, dtype, point, eps):
    """Where numbers lie farther apart than the grid's step, the largest sine lies between two of them."""
    model = Against(lambda x: torch.full_like(x, 1 - 1e-4), torch.sin)
    x, threat = torch.tensor([[point]], dtype=dtype), inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    assert not bool(inradius.make(spec, Certifier)(model, x, torch.tensor([0]), threat).certified)


def test_softplus_is_of_level_float_where_its_factor_is_exact():
    """Products with a β that is no power of two are rounded before exp."""
    x, threat = torch.full((1, 1), -30.0), inradius.make("linf(eps=0, bounds=None)", ThreatModel)
    for beta, claim in ((0.1, "real"), (0.5, "float"), (1.0, "float"), (3.0, "real")):
        model = Against(torch.nn.Softplus(beta), lambda x: 0 * x - 1)
        found = inradius.make("crown()", Certifier)(model, x, torch.tensor([0]), threat)
        assert (bool(found.certified), found.claim[0]) == (True, claim)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            lambda x: torch.nn.functional.batch_norm(x, x.mean((0, 2)), x.var((0, 2))),
            "batch_norm with weights or statistics",
        ),
        (lambda x: torch.nn.functional.layer_norm(x, (3,), x[0, 0]), "layer_norm with weights or statistics"),
        (lambda x: x[:, :0].relu().sum(1), "with a result that has no numbers"),
    ],
    ids=["batch norm", "layer norm", "nothing"],
)
def test_normalisations_by_the_input_and_empty_values_are_refused_in_a_sentence(function, sentence):
    class Wrapped(torch.nn.Module):
        def forward(self, x):
            return function(x.view(len(x), 2, 3)).flatten(1) + x[:, :3].mean(1, keepdim=True)

    threat = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    with pytest.raises(UnsupportedError, match=sentence):
        inradius.make("crown()", Certifier)(Wrapped(), torch.rand(1, 6), torch.tensor([0]), threat)


def test_an_image_of_one_pixel_is_enlarged():
    class Enlarged(torch.nn.Module):
        def forward(self, x):
            found = torch.nn.functional.interpolate(x, size=(2, 3), mode="bilinear").flatten(1)
            return torch.stack([found.sum(1), found[:, 0]], dim=1)

    threat = inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    found = inradius.make("crown()", Certifier)(
        Enlarged().double(), torch.ones(1, 1, 1, 1).double(), torch.tensor([0]), threat
    )
    torch.testing.assert_close(found.lower, torch.tensor([[5 * 0.9]], dtype=torch.float64))


@pytest.mark.parametrize(
    "function",
    [lambda x: x**3, lambda x: x.relu() ** 1.5, torch.nn.Softplus(threshold=100)],
    ids=["cube", "power", "softplus"],
)
def test_intervals_are_finite_where_executions_are_not_bounded(function):
    """A function whose execution has no stated error has bounds at level real."""
    model, x = Against(function, lambda x: 0 * x - 9), torch.full((1, 1), 0.5)
    found = inradius.make("interval()", Certifier)(
        model, x, torch.tensor([0]), inradius.make("linf(eps=0.1, bounds=None)", ThreatModel)
    )
    assert (bool(found.certified), found.claim[0]) == (True, "real")
    assert bool(found.lower.isfinite().all())


def test_many_small_summands_do_not_lift_what_a_value_is_never_below():
    """1 + s + s + ... stays 1 in an execution where each s is less than half a unit in the last place."""

    class Summed(torch.nn.Module):
        def forward(self, x):
            q = x.square() + 1.0
            for _ in range(100):
                q = q + 5.9e-8
            return 1 / q

    x, threat = torch.zeros(1, 2), inradius.make("linf(eps=0, bounds=None)", ThreatModel)
    network = values_of(Summed(), x, threat, about=False).network
    reciprocals = [node for node in network.curves if hasattr(node.required_operator.module, "gap")]
    assert [node.required_operator.module.least <= 1 for node in reciprocals] == [True]
