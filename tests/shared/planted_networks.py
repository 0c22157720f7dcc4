"""Small classifiers with a planted counterexample that many restarts of PGD miss, since they are trained to hide it.

The network is trained on one input: its label must win by a margin at all points that projected gradient ascents reach, and
lose at one point of the set. What the ascents of the last steps have reached stays among the training points. Source of the
idea: Zhou et al. 2024, SoundnessBench (arXiv 2412.03154).

``python tests/shared/planted_networks.py FIRST COUNT SECONDS`` prints what ``inradius.verify`` says about some networks.
"""

import sys
import time
from collections import Counter, deque

import attrs
import torch
from torch import nn

import inradius
from inradius import Attack, Certifier, ExampleRNG, Property, ThreatModel
from inradius.sets.examples import expand

CLASSES = 3
# the margin of the label at what ascents reach, and the margin of another class at the planted point
WON, LOST = 0.3, 0.03
STEPS, ROUNDS, ASCENTS, CLIMB, KEPT = 800, 3, 48, 8, 40
# what is nearer to the planted point than this share of its length may be lost with it
NEAR = 0.1
# training over boxes is fastest
SETS = (*["linf"] * 2, "l2", "l1", *["linf"] * 8)
SIZES = {"linf": 0.4, "l2": 1.0, "l1": 2.0}
ATTACK = "pgd(restarts=100)"


@attrs.frozen(eq=False)
class Planted:
    """A network, an input and its label, a set, and the planted perturbation, which makes the label lose."""

    seed: int
    made: str
    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor
    threat: ThreatModel
    delta: torch.Tensor

    @property
    def prop(self):
        return Property.margins(self.y, CLASSES)

    def margin(self, delta):
        """The least margin of the label at perturbations (N, *S), (N,)."""
        outputs = self.model(self.x + delta)
        others = outputs.masked_fill(nn.functional.one_hot(self.y, CLASSES).bool(), -torch.inf)
        return outputs[:, int(self.y)] - others.amax(1)

    @property
    def counts(self):
        """True where the planted point is a member of the set and violates the property."""
        inside = bool(self.threat.contains(self.delta, self.x, tol=0))
        with torch.no_grad():
            return inside and float(self.margin(self.delta)) < -0.1 * LOST

    @property
    def hidden(self):
        """True where no restart of the attack finds a counterexample."""
        attack = inradius.make(ATTACK, Attack)
        return not bool(attack(self.model, self.x, self.y, self.threat).success.any())


def perceptron(inputs, *hidden):
    parts, before = [], inputs
    for width in hidden:
        parts += [nn.Linear(before, width), nn.ReLU()]
        before = width
    return nn.Sequential(*parts, nn.Linear(before, CLASSES))


def convolutional(side, channels, width):
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * side**2, width),
        nn.ReLU(),
        nn.Linear(width, CLASSES),
    )


NETWORKS = [
    ("MLP 10-64-32", (10,), lambda: perceptron(10, 64, 32)),
    ("MLP 16-64-64", (16,), lambda: perceptron(16, 64, 64)),
    ("conv 1x5x5", (1, 5, 5), lambda: convolutional(5, 4, 32)),
    ("MLP 25-128", (25,), lambda: perceptron(25, 128)),
    ("MLP 20-50-50-50", (20,), lambda: perceptron(20, 50, 50, 50)),
    ("MLP 36-100-50", (36,), lambda: perceptron(36, 100, 50)),
]


def drawn(seed):
    """An untrained network with its planted point."""
    torch.manual_seed(seed)
    made, shape, build = NETWORKS[seed % len(NETWORKS)]
    kind = SETS[seed // len(NETWORKS) % len(SETS)]
    threat = inradius.make(f"{kind}(eps={SIZES[kind]}, bounds=None)", ThreatModel)
    x, y = torch.rand(1, *shape), torch.randint(CLASSES, (1,))
    # within the set, since ascents end in its corners
    delta = 0.95 * threat.sample(x, rng=ExampleRNG(seed, torch.zeros(1, dtype=torch.int64)))
    return Planted(seed, f"{made}, {threat}", build(), x, y, threat, delta)


def train(planted, rounds=ROUNDS):
    """Trains until the counterexample is there and hidden, or the rounds are over; returns whether it is."""
    model, pool = planted.model, deque(maxlen=KEPT)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for number in range(rounds):
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - 0.95 * step / STEPS)
            pool.append(ascended(planted, number * STEPS + step))
            descend(planted, optimizer, torch.cat([pool[-1], mixed(pool)]))
        if planted.counts and planted.hidden:
            model.eval().requires_grad_(False)
            return True
    return False


def mixed(pool):
    points = torch.cat(list(pool))
    return points[torch.randint(len(points), (2 * ASCENTS,))]


def descend(planted, optimizer, points):
    optimizer.zero_grad()
    won = (WON - planted.margin(points)).clamp(min=0)
    lost = (LOST + planted.margin(planted.delta)).clamp(min=0)
    # the largest losses count as well as the mean
    (won.mean() + 0.5 * won.amax() + 2 * lost.mean()).backward()
    optimizer.step()


def many(planted, count):
    """The input and its set, so many times."""
    rows = torch.zeros(count, dtype=torch.int64)
    return planted.x[rows], planted.threat.select(rows)


def ascended(planted, step):
    """Perturbations that ascents reach, (ASCENTS, *S): from random members, from corners, and from near the planted one."""
    rng, part = ExampleRNG(planted.seed, torch.arange(ASCENTS)).fork(step), ASCENTS // 8
    x, threat = many(planted, ASCENTS)
    delta = threat.sample(x, rng=rng)
    # not so near that the planted point itself is reached
    share = 0.3 + 0.7 * torch.rand(part, *([1] * (x.ndim - 1)))
    near = planted.delta + share * (delta[:part] - planted.delta)
    few, corners = many(planted, part)
    corners = corners.linear_max(torch.randn_like(few), few)
    delta = torch.cat([near, corners, delta[2 * part :]])
    kept, size = delta, 0.1 + 0.2 * torch.rand(ASCENTS, *([1] * (x.ndim - 1)))
    for _ in range(CLIMB):
        at = delta.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(planted.margin(at).sum(), at)
        delta = threat.project(delta + size * threat.steepest(-gradient, x, delta), x).detach()
        # of an ascent that comes to the planted point, the last place before
        apart = (delta - planted.delta).flatten(1).norm(dim=1) > NEAR * planted.delta.norm()
        kept = torch.where(expand(apart, delta), delta, kept)
    return kept


def planted(seed):
    """The network of a seed; None where training did not both keep the counterexample and hide it."""
    found = drawn(seed)
    return found if train(found) else None


def searched(found, seconds):
    """What branch_and_bound alone says, without the search before it: proved, witness or open."""
    certifier = inradius.make(f"branch_and_bound(seconds={seconds})", Certifier)
    proof = certifier(found.model, found.x, None, found.threat, prop=found.prop)
    return "proved" if bool(proof.certified) else "open" if proof.witness is None else "witness"


def main(first, count, seconds):
    statuses, alone, seed = Counter(), Counter(), first
    while sum(statuses.values()) < count:
        start = time.process_time()
        found = planted(seed)
        trained = time.process_time() - start
        seed += 1
        if found is None:
            print(f"seed {seed - 1}: no hidden counterexample after {trained:.0f} s", flush=True)
            continue
        start = time.process_time()
        result = inradius.verify(found.model, found.x, found.threat, found.prop, timeout=seconds)
        spent = time.process_time() - start
        said = searched(found, seconds / 20)
        statuses[result.status] += 1
        alone[said] += 1
        told = f"{result.status} after {spent:.1f} s of CPU; branch_and_bound alone for {seconds / 20:g} s: {said}"
        print(f"seed {found.seed}: {found.made}: {told} (training {trained:.0f} s)", flush=True)
    print(f"verify: {dict(statuses)}; branch_and_bound alone: {dict(alone)}; {seed - first} trainings")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
