"""Slopes found by ascent through windows of convolutions: the bounds of whole rows, at a part of their cost."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius_bounds.backward.rows.windows import WindowRows

F64 = torch.float64


def convolutions(seed, *middle):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU(), *middle, nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


KINDS = {
    "two": lambda: convolutions(0),
    "three": lambda: convolutions(1, nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.Tanh()),
    "linear": lambda: nn.Sequential(*convolutions(2)[:5], nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 3)),
}


@pytest.mark.parametrize("spec", ["linf(eps=0.08)", "l2(eps=0.5)", "patch(size=2, eps=0.3)"])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_only_a_faster_way_to_the_same_slopes(kind, spec, monkeypatch):
    x = torch.rand(2, 2, 9, 9, dtype=F64, generator=torch.Generator().manual_seed(0))
    net = KINDS[kind]()
    net(x.float())
    net.double().eval()
    certifier = inradius.make("alpha(steps=6, layers='all', keep_maximising=True)", Certifier)
    threat, y = inradius.make(spec, ThreatModel), torch.tensor([0, 1])
    with torch.no_grad():
        windows, alone = certifier(net, x, y, threat).lower, certifier(net, x[1:], y[1:], threat).lower
        monkeypatch.setattr(WindowRows, "small", lambda self, shape: False)
        whole = certifier(net, x, y, threat).lower
        plain = inradius.make("alpha(steps=6, keep_maximising=True)", Certifier)(net, x, y, threat).lower
    torch.testing.assert_close(windows, whole, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(windows[1:], alone, rtol=1e-8, atol=1e-8)
    assert bool((windows > plain + 1e-6).any())
