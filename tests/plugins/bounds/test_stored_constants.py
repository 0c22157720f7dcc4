"""Constants that an operator stores among values: they have the model's type, and a machine may take small ones for 0."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inradius
from inradius import Certifier, InputError, ThreatModel, UnsupportedError

MASK = torch.tensor([True, False])
# two outputs that are equal in the type, where the numbers as they are written differ by 1
WHOLE = {
    "clamp": lambda x, n: (x[:, :1].clamp(min=n + 1), x[:, 1:].clamp(min=n)),
    "hardtanh": lambda x, n: (F.hardtanh(x[:, :1], n + 1, 4 * n), F.hardtanh(x[:, 1:], n, 4 * n)),
    "masked_fill": lambda x, n: (x.masked_fill(MASK, n + 1)[:, :1], x.masked_fill(MASK, n)[:, :1]),
    "where": lambda x, n: (torch.where(MASK, torch.tensor(n + 1), x)[:, :1], torch.where(MASK, n, x)[:, :1]),
    "cat": lambda x, n: (torch.cat([torch.tensor([[n + 1]]), x[:1]], 1)[:, :1].expand(len(x), 1), x[:, :1] * 0 + n),
    "maximum": lambda x, n: (torch.maximum(x, torch.tensor(n + 1))[:, :1], torch.maximum(x, torch.tensor(n))[:, :1]),
    "pad": lambda x, n: (F.pad(x, (0, 1), value=n + 1)[:, 2:], F.pad(x, (0, 1), value=n)[:, 2:]),
}


class Pair(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return torch.cat(self.function(x), dim=1)


def certified(model, x, spec, eps=0.1, claim="float"):
    threat, labels = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel), torch.zeros(len(x), dtype=torch.int64)
    return inradius.make(spec, Certifier)(model, x, labels, threat, claim=claim)


@pytest.mark.parametrize("spec", ["interval()", "crown()"])
@pytest.mark.parametrize(
    ("dtype", "number"),
    [(torch.bfloat16, 256), (torch.float16, 2048), (torch.float32, 2**24)],
    ids=["bfloat16", "float16", "float32"],
)
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_those_of_the_models_type(name, dtype, number, spec):
    model = Pair(lambda x: WHOLE[name](x, number))
    x = torch.rand(1, 2).to(dtype)
    out = model(x)
    if out[0, 0] != out[0, 1]:
        pytest.skip("torch keeps the whole number")
    for claim in ("float", "real"):
        assert not certified(model, x, spec, claim=claim).certified.any()


# the least number that a value may be is subnormal, and a root makes it large
SMALL = {
    "clamp": lambda x: x.clamp(min=1e-39),
    "masked_fill": lambda x: x.masked_fill(MASK, 1e-39),
    "pad": lambda x: F.pad(x, (1, 0), value=1e-39),
    "cat": lambda x: torch.cat([torch.full((len(x), 1), 1e-39), x], dim=1),
    "where": lambda x: torch.where(MASK, torch.tensor(1e-39), x),
}


@pytest.mark.parametrize("spec", ["interval()", "crown()", "dual()"])
@pytest.mark.parametrize("name", SMALL)
def test_small_constants_may_count_as_zero_in_an_execution(name, spec):
    model = Pair(lambda x: (SMALL[name](x)[:, :1].sqrt() * 1e20 - 1, 0 * x[:, :1]))
    x = torch.tensor([[0.0, 0.5]]) if name == "clamp" else torch.tensor([[0.4, 0.5]])
    found = certified(model, x, spec, eps=0.05)
    assert not any(level == "float" and bool(holds) for level, holds in zip(found.claim, found.certified, strict=True))


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: x.to(torch.float8_e4m3fn).float(), "a conversion to torch.float8_e4m3fn"),
        (lambda x: x - x.to(torch.float8_e8m0fnu).float(), "a conversion to torch.float8_e8m0fnu"),
        (lambda x: (x * 1j).imag, "mul with complex numbers"),
        (lambda x: (x + 1j).real, "add with complex numbers"),
        (lambda x: x.clone().apply_(lambda number: 2 * number), r"apply_\(\) on a value"),
    ],
    ids=["float8", "float8 without sign", "complex factor", "complex summand", "apply_"],
)
def test_numbers_without_bounds_are_refused_in_a_sentence(function, sentence):
    with pytest.raises((UnsupportedError, InputError), match=sentence):
        certified(Pair(lambda x: (function(x),)), torch.rand(2, 2), "crown()")


@pytest.mark.parametrize("write", ["in place", "through data", "by another tensor"])
def test_constants_that_were_kept_follow_the_weights(write):
    """A certificate after a change of the weights is that of a new model with these weights."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)).eval()
    x, y, certifier = torch.rand(2, 4), torch.tensor([0, 1]), inradius.make("crown()", Certifier)
    threat = inradius.make("linf(eps=0.05)", ThreatModel)
    before = certifier(net, x, y, threat).lower
    assert torch.equal(certifier(net, x, y, threat).lower, before)
    with torch.no_grad():
        if write == "in place":
            net[0].weight.mul_(2)
        elif write == "through data":
            net[0].weight.data[0] += 1
        else:
            net[0].weight.data = net[0].weight.data * 2
    fresh = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)).eval()
    fresh.load_state_dict(net.state_dict())
    after = certifier(net, x, y, threat).lower
    torch.testing.assert_close(after, certifier(fresh, x, y, threat).lower, rtol=0, atol=0)
    assert not torch.equal(after, before)


def test_training_between_certificates_makes_constants_anew():
    """Bounds with gradients neither use constants that were kept, nor leave any behind."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    x, y, certifier = torch.rand(2, 4), torch.tensor([0, 1]), inradius.make("crown()", Certifier)
    threat = inradius.make("linf(eps=0.05)", ThreatModel)
    before = certifier(net, x, y, threat).lower
    loss = certifier.bound(net, x, y, threat).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    torch.testing.assert_close(certifier(net, x, y, threat).lower, before, rtol=0, atol=0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= 0.1 * parameter.grad
    assert not torch.equal(certifier(net, x, y, threat).lower, before)
