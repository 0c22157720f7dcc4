"""Black-box attacks on a stranger's sets, which have the abstract oracles and nothing else."""

import attrs
import pytest
import torch
from gradient_cases import SIZE, labelled, perceptron

import inradius
from inradius import Attack, ThreatModel
from inradius.sets.norm import Norm
from inradius_blackbox.shape import shape_of


@attrs.frozen(kw_only=True)
class Round(ThreatModel):
    """The ℓ2 ball, written by somebody else."""

    size: float

    @property
    def convex(self):
        return True

    @property
    def norm(self):
        return Norm(2.0)

    @property
    def radius(self):
        return self.size

    def project(self, delta, x):
        return delta * (self.size / delta.flatten(1).norm(dim=1).clamp(min=self.size)).view(-1, *(1,) * (x.ndim - 1))

    def linear_max(self, c, x):
        return self.project(c * 1e9, x) if self.size else torch.zeros_like(c)

    def gauge(self, delta, x):
        return delta.flatten(1).norm(dim=1) / self.size

    def scaled(self, factor):
        return attrs.evolve(self, size=self.size * factor)


@attrs.frozen(kw_only=True)
class Uneven(Round):
    """Coordinates that may move less and less: no ball of a norm."""

    @property
    def norm(self):
        return None

    def weights(self, x):
        return self.size / torch.arange(1, SIZE + 1, dtype=x.dtype)

    def project(self, delta, x):
        return torch.clamp(delta, -self.weights(x), self.weights(x))

    def linear_max(self, c, x):
        return c.sign() * self.weights(x)

    def gauge(self, delta, x):
        return (delta.abs() / self.weights(x)).amax(1)


SPECS = [
    "square(queries=80)",
    "spsa(steps=6, samples=6)",
    "boundary(queries=120)",
    "hop_skip_jump(queries=150, samples=10)",
    "gaussian_noise(queries=5)",
    "uniform_noise(queries=5)",
]


@pytest.mark.parametrize("threat", [Round(size=1.5), Uneven(size=2.0)], ids=lambda threat: type(threat).__name__)
@pytest.mark.parametrize("spec", SPECS)
def test_a_set_of_three_oracles_is_enough(spec, threat):
    model, attack = perceptron(), inradius.make(spec, Attack)
    x, y = labelled(model, 12)
    found = attack(model, x, y, threat)
    assert found.inside.all() or attack.minimal
    assert torch.equal(found.success, (model(x + found.delta).argmax(1) != y) & found.inside)
    assert found.success.any() or "noise" in spec
    order = torch.arange(11, -1, -1)
    turned = attack(model, x[order], y[order], threat, index=order)
    torch.testing.assert_close(turned.delta[order], found.delta, rtol=0, atol=1e-12)


def test_a_strangers_ball_says_what_it_is():
    x = torch.rand(3, SIZE)
    assert shape_of(Round(size=0.6), x).order == 2
    assert shape_of(Uneven(size=0.6), x) is None
