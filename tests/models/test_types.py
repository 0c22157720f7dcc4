import copy

import pytest
import torch
from torch import nn

import inradius
from inradius import Attack, Dataset, InputError
from inradius.attacks.verdict import unit
from inradius.models import modes


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 3)).eval()


class Casting(nn.Module):
    """A network in bfloat16 that takes inputs of any type, and gives logits as ``out``."""

    def __init__(self, out):
        super().__init__()
        self.network, self.out = network().to(torch.bfloat16), out

    def forward(self, x):
        return self.network(x.to(torch.bfloat16)).to(self.out)


class Autocasting(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = network()

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.network(x)


CASTING = [lambda: Casting(torch.bfloat16), lambda: Casting(torch.float32), Autocasting]


@pytest.mark.parametrize("build", CASTING)
def test_a_network_that_casts_inside_is_judged_by_what_it_takes_and_gives(build, tmp_path):
    model, x = build().eval(), torch.rand(24, 3, 2, 2)
    y = model(x).argmax(1)
    found = inradius.attack(model, x, y, "linf(eps=0.5)", "pgd(steps=10)")
    assert found.delta.dtype == torch.float32
    assert bool(found.success.any())
    # alone, and in any batch
    alone = torch.cat([model(one[None]).argmax(1) for one in x + found.delta])
    assert not bool((found.success & (alone == y)).any())
    arrays = inradius.attack(model, x.numpy(), y.numpy(), "linf(eps=0.5)", "pgd(steps=10)")
    assert torch.equal(arrays.delta, found.delta)
    report = inradius.bracket(
        model, Dataset.of(x, y), "linf(eps=0.5)", attacks="pgd(steps=10)", certifiers=(), folder=tmp_path / "run"
    )
    assert report.upper == pytest.approx(1 - float(found.success.float().mean()))


def test_unequal_types_are_a_sentence():
    x, y = torch.rand(2, 3, 2, 2), torch.zeros(2, dtype=torch.int64)
    for model in (network().double(), network().half()):
        with pytest.raises(InputError, match="give both in one type"):
            inradius.attack(model, x, y, "linf(eps=0.1)")
        with pytest.raises(InputError, match="give both in one type"):
            inradius.bracket(model, Dataset.of(x, y), "linf(eps=0.1)")


def test_the_unit_of_rounding_is_that_of_the_shortest_type():
    x, logits = torch.rand(4, 2), torch.randn(4, 3)
    assert unit(x, logits) == torch.finfo(torch.float32).eps
    assert unit(x, logits.bfloat16().float()) == torch.finfo(torch.bfloat16).eps
    assert unit(x, logits.half().float()) == torch.finfo(torch.float16).eps


def test_recurrent_layers_on_cuda_are_differentiated_without_dropout(monkeypatch):
    # cuDNN refuses the backward pass in eval mode
    monkeypatch.setattr(modes, "_by_cudnn", lambda layer: True)
    layer = nn.LSTM(4, 5, num_layers=2, dropout=0.5, batch_first=True).eval()
    model = nn.Sequential(layer, nn.Identity()).eval()
    x = torch.rand(3, 7, 4)
    usual = copy.deepcopy(layer)(x)[0]
    with modes.frozen(model):
        assert layer.training
        assert torch.allclose(layer(x)[0], usual)
    assert not layer.training
    assert layer.dropout == 0.5


@pytest.mark.gpu
def test_an_lstm_is_attacked_on_cuda():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.layer(x)[0][:, -1])

    model = Recurrent().cuda().eval()
    x = torch.rand(4, 6, 4, device="cuda")
    found = inradius.make("pgd(steps=3)", Attack)(model, x, model(x).argmax(1), inradius.make("linf(eps=0.1)"))
    assert found.delta.shape == x.shape
