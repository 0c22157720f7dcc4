"""Properties near the exact minimum of small ReLU networks over every kind of set, and what a certifier says about them.

``python tests/shared/exact_minimum_cases.py FIRST COUNT`` prints what became of the properties of some seeds.
"""

import sys
import time
from fractions import Fraction

import attrs
import numpy as np
import torch
from exact_minimum import minima
from rational_minimum import Skip, rational_minimum
from rational_polytope import Polytope, exact, in_l1_ball, moved_mass, room
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel

F64 = torch.float64
# distances of the threshold from the minimum, relative to its size
DISTANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# the stated tolerance of the answer "unknown"
UNKNOWN = 1e-5
# an error of the reference where it is a solver's answer
SOLVER = 1e-7
# what a threshold is rounded by
ROUNDED = 1e-13
IMAGE, VECTOR = (1, 3, 3), (3,)


def cube(x, low, high, bounds=None, shifts=None):
    sides = (np.full(len(x), Fraction(side), dtype=object) for side in (low, high))
    return Polytope.box(*room(x, *sides, bounds))


def ramps(x, eps):
    """Shifts along the directions that grow from −1 to 1 down and across an image of 3 × 3."""
    line = exact(np.array([-1.0, 0.0, 1.0]))
    shifts = np.stack([line.repeat(3), np.tile(line, 3)], axis=1)
    low = np.full(2, -Fraction(eps), dtype=object)
    return Polytope.box(low, -low, shifts)


def windows(x, size):
    for row in range(4 - size):
        for column in range(4 - size):
            inside = np.zeros((3, 3))
            inside[row : row + size, column : column + size] = 1
            inside = exact(inside.flatten())
            yield Polytope.box(-x * inside, (1 - x) * inside)


def brighter(x, eps):
    """The same shift of all pixels that leaves each of them between 0 and 1."""
    low, high = max(-Fraction(eps), -min(x)), min(Fraction(eps), 1 - max(x))
    return Polytope.box(np.array([low]), np.array([high]), exact(np.ones((len(x), 1))))


# a specification, the shape of inputs, and the polytopes whose union is the set, or None where a part of it is round
SETS = [
    ("linf(eps=0.3, bounds=None)", VECTOR, lambda x: [cube(x, -0.3, 0.3)]),
    ("l2(eps=0.5)", VECTOR, None),
    ("l1(eps=0.7)", VECTOR, lambda x: [in_l1_ball(-x, 1 - x, 0.7)]),
    ("box(lo=-0.2, hi=0.4)", VECTOR, lambda x: [cube(x, -0.2, 0.4, (0, 1))]),
    ("wasserstein(eps=0.2, kernel=3)", IMAGE, lambda x: [moved_mass(x, 3, 0.2)]),
    ("patch(size=2)", IMAGE, lambda x: windows(x, 2)),
    ("union(linf(eps=0.1), l2(eps=0.3))", VECTOR, None),
    (
        "intersection(linf(eps=0.2), l1(eps=0.4))",
        VECTOR,
        lambda x: [in_l1_ball(*room(x, *(np.full(3, Fraction(s), dtype=object) for s in (-0.2, 0.2)), (0, 1)), 0.4)],
    ),
    ("linf(eps=0.4, bounds=(0, 1))", IMAGE, lambda x: [cube(x, -0.4, 0.4, (0, 1))]),
    ("affine('ramps', eps=0.4)", IMAGE, lambda x: [ramps(x, 0.4)]),
    ("affine('ramps', eps=0.4, order='2')", IMAGE, None),
    ("affine('brightness', eps=0.3, bounds=(0, 1))", IMAGE, lambda x: [brighter(x, 0.3)]),
]


def convex_sets(threat, x):
    """Functions that give the constraints of convex sets in cvxpy, whose union is Δ(x)."""
    parts = [threat] if threat.convex else threat.convex_parts(x)
    return [lambda delta, part=part: part.constraints(delta, x[0]) for part in parts]


def dense(size, *hidden):
    parts, before = [nn.Flatten()], size
    for width in hidden:
        parts += [nn.Linear(before, width), nn.ReLU()]
        before = width
    return nn.Sequential(*parts, nn.Linear(before, 3))


def residual(size, hidden):
    """ReLUs within x + g(x) and behind it."""
    body = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, size))
    return nn.Sequential(nn.Flatten(), Skip(body), nn.ReLU(), nn.Linear(size, 3))


def convolutional():
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def residual_convolutional():
    skip = Skip(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1)))
    return nn.Sequential(nn.Conv2d(1, 1, 2), skip, nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))


NETWORKS = {
    VECTOR: [lambda: dense(3, 4), lambda: dense(3, 3, 3), lambda: residual(3, 4), lambda: dense(3, 10)],
    IMAGE: [
        convolutional,
        lambda: dense(9, 6),
        lambda: dense(9, 3, 3),
        residual_convolutional,
        lambda: residual(9, 1),
    ],
}


@attrs.frozen(eq=False)
class Case:
    """A network, an input, a set, a property of one to three clauses, and bounds of the least value of a clause."""

    name: str
    model: nn.Module
    x: torch.Tensor
    threat: ThreatModel
    prop: Property
    below: float
    above: float

    @classmethod
    def of(cls, seed):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        spec, shape, polytopes = SETS[seed % len(SETS)]
        made = NETWORKS[shape]
        model = made[rng.integers(len(made))]().double().eval()
        factor = float(rng.choice([0.5, 1.0, 2.0]))
        for weights in model.parameters():
            weights.data *= factor
        x, threat = torch.rand(1, *shape, dtype=F64), inradius.make(spec, ThreatModel)
        prop = drawn_property(rng)
        rows, offsets = prop.weights[0].numpy(), prop.offsets[0].numpy()
        clauses = [(rows[each], offsets[each]) for each in prop.clauses.numpy()]
        if polytopes is not None:
            found = [rational_minimum(model, x, each, clauses) for each in polytopes(exact(x.flatten().numpy()))]
            return cls(spec, model, x, threat, prop, min(low for low, _ in found), min(high for _, high in found))
        least = min(min(minima(model, x, part, clauses)) for part in convex_sets(threat, x))
        return cls(spec, model, x, threat, prop, least - SOLVER, least + SOLVER)

    @property
    def size(self):
        return max(abs(float(self.below + self.above)) / 2, 1e-3)

    def asked(self, room):
        """The property whose least value is about ``room``, and how far its bounds are from 0."""
        shift = room - float(self.below + self.above) / 2
        prop = Property(self.prop.weights, self.prop.offsets + shift, self.prop.clauses)
        return prop, float(self.below + Fraction(shift)), float(self.above + Fraction(shift))


def drawn_property(rng):
    rows = int(rng.integers(1, 5))
    weights, offsets = torch.randn(rows, 3, dtype=F64), torch.randn(rows, dtype=F64)
    members = torch.from_numpy(rng.random((int(rng.integers(1, 4)), rows)) < 0.6)
    members[:, rng.integers(rows)] = True
    return Property(weights, offsets, members)


@attrs.frozen
class Answer:
    """What was said about a property whose least value is ``room``: unsat, sat or unknown, and whether this is wrong."""

    name: str
    distance: float
    room: float
    said: str
    wrong: bool
    seconds: float

    @property
    def early(self):
        """True for "unknown" further from the minimum than the stated tolerance."""
        return self.said == "unknown" and abs(self.room) > UNKNOWN


def answers(seed, distances=DISTANCES, seconds=60):
    """The answers of branch_and_bound about the properties of a seed, on either side of the minimum."""
    case = Case.of(seed)
    certifier = inradius.make(f"branch_and_bound(seconds={seconds})", Certifier)
    for distance in distances:
        for sign in (1, -1):
            room = sign * distance * case.size
            prop, below, above = case.asked(room)
            start = time.process_time()
            proof = certifier(case.model, case.x, None, case.threat, prop=prop)
            spent = time.process_time() - start
            said = "unsat" if bool(proof.certified) else "unknown" if proof.witness is None else "sat"
            wrong = (said == "unsat" and above < -ROUNDED) or (said == "sat" and below > ROUNDED)
            wrong = wrong or (proof.witness is not None and not violates(case, prop, proof.witness))
            yield Answer(case.name, distance, room, said, wrong, spent)


def violates(case, prop, delta):
    """True where a perturbation lies in the set and the network's own numbers violate the property."""
    with torch.no_grad():
        weakest = prop.weakest(prop.values(case.model(case.x + delta)))
    return bool(case.threat.contains(delta, case.x, tol=0)) and float(weakest) <= 0


def main(first, count):
    total = []
    for seed in range(first, first + count):
        start = time.process_time()
        for answer in answers(seed):
            total.append(answer)
            if answer.wrong or answer.said == "unknown":
                print(f"seed {seed}: {answer}", flush=True)
        print(f"seed {seed} {SETS[seed % len(SETS)][0]}: {time.process_time() - start:.1f} s of CPU", flush=True)
    print(f"{len(total)} properties, {sum(a.wrong for a in total)} wrong answers")
    for said in ("unsat", "sat", "unknown"):
        print(f"{said}: {sum(a.said == said for a in total)}")
    print(f"unknown further than {UNKNOWN} from the minimum: {sum(a.early for a in total)}")
    spent = sorted(a.seconds for a in total)
    print(f"CPU seconds of an answer: median {spent[len(spent) // 2]:.3f}, most {spent[-1]:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
