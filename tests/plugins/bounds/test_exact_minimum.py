"""branch_and_bound against the exact minimum of small ReLU networks over every kind of set."""

import numpy as np
import pytest
import torch
from exact_minimum import minima
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel

F64 = torch.float64
# distances of the threshold from the minimum, relative to its size
DISTANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# the stated tolerance of the answer "unknown"
UNKNOWN = 1e-5


class Residual(nn.Module):
    """x + g(x) with ReLUs within g and behind the sum."""

    def __init__(self, size, hidden):
        super().__init__()
        self.first, self.relu = nn.Linear(size, hidden), nn.ReLU()
        self.second, self.last, self.out = nn.Linear(hidden, size), nn.ReLU(), nn.Linear(size, 3)

    def forward(self, x):
        x = x.flatten(1)
        return self.out(self.last(x + self.second(self.relu(self.first(x)))))


def dense(size, *hidden):
    parts, before = [nn.Flatten()], size
    for width in hidden:
        parts += [nn.Linear(before, width), nn.ReLU()]
        before = width
    return nn.Sequential(*parts, nn.Linear(before, 3))


def convolutional():
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


# a specification, and the shape of inputs
SETS = [
    ("linf(eps=0.3, bounds=None)", (3,)),
    ("l2(eps=0.5)", (3,)),
    ("l1(eps=0.7)", (3,)),
    ("box(lo=-0.2, hi=0.4)", (3,)),
    ("wasserstein(eps=0.2, kernel=3)", (1, 3, 3)),
    ("patch(size=2)", (1, 3, 3)),
    ("union(linf(eps=0.1), l2(eps=0.3))", (3,)),
    ("intersection(linf(eps=0.2), l1(eps=0.4))", (3,)),
    ("linf(eps=0.4, bounds=(0, 1))", (1, 3, 3)),
]


def convex_sets(threat, x):
    """Functions that give the constraints of convex sets, whose union is Δ(x)."""
    if threat.convex:
        return [lambda delta: threat.constraints(delta, x)]
    if len(threat.members()) > 1:
        return [lambda delta, part=part: part.constraints(delta, x) for part in threat.members()]
    return [
        windowed(x, row, column, threat.size) for row in range(4 - threat.size) for column in range(4 - threat.size)
    ]


def windowed(x, row, column, size):
    inside = np.zeros((3, 3))
    inside[row : row + size, column : column + size] = 1
    inside, at = inside.flatten(), x.flatten().numpy()
    return lambda delta: [delta >= -np.minimum(1, at) * inside, delta <= np.minimum(1, 1 - at) * inside]


def networks(seed, shape, rng):
    torch.manual_seed(seed)
    size = int(np.prod(shape))
    if shape == (3,):
        made = [lambda: dense(size, 4), lambda: dense(size, 3, 3), lambda: Residual(size, 4), lambda: dense(size, 8)]
    else:
        made = [convolutional, lambda: dense(size, 6), lambda: dense(size, 3, 3)]
    model = made[rng.integers(len(made))]().double().eval()
    factor = float(rng.choice([0.5, 1.0, 2.0]))
    for weights in model.parameters():
        weights.data *= factor
    return model


def case(seed):
    """A network, an input, a set, a property of one to three clauses, and the minimum of its weakest clause."""
    rng = np.random.default_rng(seed)
    spec, shape = SETS[seed % len(SETS)]
    model = networks(seed, shape, rng)
    x, threat = torch.rand(1, *shape, dtype=F64), inradius.make(spec, ThreatModel)
    rows = int(rng.integers(1, 5))
    weights, offsets = torch.randn(rows, 3, dtype=F64), torch.randn(rows, dtype=F64)
    members = torch.from_numpy(rng.random((int(rng.integers(1, 4)), rows)) < 0.6)
    members[:, rng.integers(rows)] = True
    clauses = [(weights[each].numpy(), offsets[each].numpy()) for each in members]
    found = [min(minima(model, x, part, clauses)) for part in convex_sets(threat, x)]
    return model, x, threat, Property(weights, offsets, members), min(found)


def decides(seed, distances):
    model, x, threat, prop, least = case(seed)
    certifier = inradius.make("branch_and_bound(seconds=60)", Certifier)
    for distance in distances:
        for sign in (1, -1):
            shift = sign * distance * max(abs(least), 1e-3) - least
            asked = Property(prop.weights, prop.offsets + shift, prop.clauses)
            proof = certifier(model, x, None, threat, prop=asked)
            room = sign * distance * max(abs(least), 1e-3)
            answer = told(proof)
            if abs(room) > UNKNOWN:
                assert answer == ("unsat" if sign > 0 else "sat"), (seed, distance, answer, least)
            if proof.witness is not None:
                assert bool(threat.contains(proof.witness, x, tol=0))
                with torch.no_grad():
                    assert float(asked.weakest(asked.values(model(x + proof.witness)))) <= 0
            # the solver's minimum is known to about 1e-7
            assert not (answer == "unsat" and room < -1e-6), (seed, distance, least)


def told(proof):
    if bool(proof.certified):
        return "unsat"
    return "unknown" if proof.witness is None else "sat"


@pytest.mark.parametrize("seed", range(len(SETS)))
def test_properties_near_the_minimum_are_decided_over_every_kind_of_set(seed):
    decides(seed, (1e-1, 1e-4))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 145))
def test_five_hundred_properties_near_the_minimum_are_decided(seed):
    decides(seed, DISTANCES)


def test_the_reference_gives_the_minimum_of_an_absolute_value():
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    model[0].weight.data, model[2].weight.data = torch.tensor([[1.0], [-1.0]], dtype=F64), torch.ones(1, 2, dtype=F64)
    least = minima(
        model, torch.tensor([[0.3]], dtype=F64), lambda delta: [delta <= 0.1, delta >= -0.1], [(np.eye(1), np.zeros(1))]
    )
    assert least == [pytest.approx(0.2, abs=1e-6)]
