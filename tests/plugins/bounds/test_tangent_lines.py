"""Slopes of smooth curves as variables: each gives a line on the right side, and the ascent gains by them."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius_bounds.backward import slope_ascent
from inradius_bounds.backward.certifier_bounds import values_of
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.tangent_lines import TangentLines, TangentRange, has_tangents

F64 = torch.float64


class Curve(nn.Module):
    """A function of each number."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


CURVES = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "atan": torch.atan,
    "erf": torch.erf,
    "softplus": nn.functional.softplus,
    "elu": nn.functional.elu,
    "exp": torch.exp,
    "square": torch.square,
    "cube": lambda z: z**3,
    "sqrt": lambda z: torch.sqrt(z.square() + 0.1),
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "sin": torch.sin,
    "reciprocal": lambda z: 1 / (z.square() + 0.5),
}


def ranges(function, x, eps):
    """The range of slopes of the last curve of the function, its node, and the bounds of values."""
    threat = inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel)
    values = values_of(Curve(function), x, threat)
    node = values.network.curves[-1]
    assert has_tangents(node.operator)
    return TangentRange.of(values, node), node, values


@pytest.mark.parametrize("size", [0.3, 3.0, 20.0])
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
@torch.no_grad()
def test_every_share_gives_a_line_on_the_right_side(dtype, name, size):
    """Rows of either sign lie above what stands for them at all points of the interval, less the stated rounding error."""
    generator = torch.Generator().manual_seed(0)
    x = (size * torch.randn(40, 1, dtype=F64, generator=generator)).to(dtype)
    for eps in (0.01, 1.0, 4.0):
        fan, node, values = ranges(CURVES[name], x, eps)
        rows = torch.randn(40, 12, 1, dtype=F64, generator=generator).to(dtype)
        share = torch.rand(40, 12, 1, dtype=F64, generator=generator).to(dtype)
        share[:, :2] = torch.tensor([0.0, 1.0], dtype=dtype)[:, None]
        found = TangentLines(fan, share).relaxed_rows(DenseRows(rows))
        low, high = (side.double() for side in values.box(node.sources[0]))
        # no value of the argument is below what its structure says
        low = low.clamp(min=getattr(node.operator.module, "least", None) or -torch.inf)
        places = low + (high - low) * torch.linspace(0, 1, 41, dtype=F64).view(-1, 1, 1)
        before, behind = values.about.value(node.sources[0]), values.about.value(node)
        exact = values.about.partner[node]
        for z in places:
            curve = exact.value(z) - behind
            line = (found.function.rows.double() * (z - before)[:, None]).sum(2) + found.constant.double()
            value = (rows.double() * curve[:, None]).sum(2)
            room = found.owed.double() + 1e-14 * (1 + value.abs() + line.abs())
            assert bool((line - room <= value).all())


def network(activation, seed):
    torch.manual_seed(seed)
    layers = (nn.Linear(6, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 4))
    return nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize("spec", ["alpha(keep_maximising=True)", "alpha(layers='all', steps=8, keep_maximising=True)"])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softplus, nn.ELU, nn.GELU, lambda: Curve(torch.square)])
def test_alpha_with_slopes_of_smooth_curves_is_above_alpha_without(activation, spec, monkeypatch):
    threat = inradius.make("linf(eps=0.2, bounds=None)", ThreatModel)
    gains = []
    for seed in range(2):
        net, x = network(activation, seed), torch.randn(3, 6, dtype=F64, generator=torch.Generator().manual_seed(seed))
        y = net(x).argmax(1)
        crown, alpha = (inradius.make(each, Certifier)(net, x, y, threat).lower for each in ("crown()", spec))
        with monkeypatch.context() as patch:
            patch.setattr(slope_ascent, "has_tangents", lambda op: False)
            without = inradius.make(spec, Certifier)(net, x, y, threat).lower
        moved = x + 0.2 * (2 * torch.rand(300, 3, 6, dtype=F64, generator=torch.Generator().manual_seed(9)) - 1).sign()
        with torch.no_grad():
            logits = net(moved)
        margins = (logits.gather(2, y.expand(300, 3)[..., None]) - logits).amin(0)
        least = torch.stack([margin[torch.arange(4) != label] for margin, label in zip(margins, y, strict=True)])
        assert bool((alpha >= crown - 1e-9).all())
        assert bool((alpha <= least + 1e-9).all())
        gains.append(alpha - without)
    gain = torch.cat(gains)
    assert float(gain.mean()) > 0
    # an ascent of few steps may end a little lower for single rows
    assert float(gain.min()) > -0.05 * float(gain.max())
