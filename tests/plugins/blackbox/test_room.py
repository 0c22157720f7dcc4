"""What a set allows at any radius is judged example by example, so that no batch mate changes an attack's walk."""

import attrs
import pytest
import torch

import inradius
from inradius import Attack, ThreatModel
from inradius.testing.networks import network
from inradius_blackbox.feasible_box import far, feasible_box_of

SHAPE = (1, 3, 3)


@attrs.frozen(kw_only=True)
class Either(ThreatModel):
    """A cube around inputs that begin with 0, and around others its diagonal alone, each within |δ| ≤ 1."""

    size: float

    @property
    def convex(self):
        return True

    def allowed(self, delta, x):
        cube = (x.flatten(1)[:, 0] == 0).view(-1, 1, 1, 1)
        return torch.where(cube, delta, delta.mean((1, 2, 3), keepdim=True))

    def project(self, delta, x):
        limit = min(self.size, 1.0)
        return self.allowed(delta, x).clamp(-limit, limit)

    def linear_max(self, c, x):
        return self.project(c * 1e9, x)

    def gauge(self, delta, x):
        return delta.abs().flatten(1).amax(1) / self.size

    def violation(self, delta, x):
        return (delta - self.allowed(delta, x).clamp(-1, 1)).abs().flatten(1).amax(1)

    def scaled(self, factor):
        return attrs.evolve(self, size=self.size * factor)


def images(count=24):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64)
    # windows on constant images are all worth the same
    x[0], x[1], x[2, 0, 0, 0] = 0.02, 0.0, 0.0
    return x


@pytest.mark.parametrize(
    ("threat", "boxed"),
    [
        ("patch(size=2, eps=0.4)", False),
        ("patch(size=3, eps=0.4)", True),
        ("affine(basis='ramps', eps=0.3)", False),
        ("linf(eps=0.2)", True),
        ("l2(eps=0.5)", True),
        ("l1(eps=1.0, k1=1, k2=3)", True),
        ("l0(k=2)", True),
        ("box(lo=0.0, hi=0.3)", True),
    ],
)
def test_a_box_is_told_from_other_sets_around_every_input(threat, boxed):
    assert (feasible_box_of(inradius.make(threat, ThreatModel), images()).boxed == boxed).all()


def test_each_example_has_room_of_its_own():
    threat, x = Either(size=0.5), images()
    box = feasible_box_of(threat, x)
    assert box.boxed.nonzero().flatten().tolist() == [1, 2]
    delta = 3 * images().flip(0) - 1.5
    nearest = box.nearest(far(threat), delta, x)
    torch.testing.assert_close(nearest, far(threat).project(delta, x), rtol=0, atol=1e-12)
    rows = torch.tensor([5, 1, 2])
    assert torch.equal(box.take(rows).nearest(far(threat), delta[rows], x[rows]), nearest[rows])


@pytest.mark.parametrize("threat", [inradius.make("patch(size=2, eps=0.4)", ThreatModel), Either(size=0.5)], ids=str)
@pytest.mark.parametrize("attack", ["boundary(queries=80)", "hop_skip_jump(queries=80, samples=4)"])
def test_walks_are_the_same_alone(attack, threat):
    attack, x = inradius.make(attack, Attack), images(8)
    model = network(SHAPE, 3, 716, depth=0, row_wise=True)
    y, index = model(x).argmax(1), torch.arange(len(x))
    together = attack(model, x, y, threat, index=index).delta
    alone = torch.cat([attack(model, x[[i]], y[[i]], threat, index=index[[i]]).delta for i in range(len(x))])
    assert together.flatten(1).any(1).sum() >= 3
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-9)
