"""Random networks, sets and radii, of which corners, samples and attacks try to break every certificate.

``python tests/shared/soundness_drill.py FIRST COUNT`` runs seeds in a row and prints the table. ``INRADIUS_DRILL`` is the number of
triples (network, set, radius) of the slow test, 500 by default and 10,000 in the profile nightly; ``INRADIUS_DRILL_SEED`` the
first of their seeds.
"""

import collections
import inspect
import itertools
import math
import os
import re
import sys
import time
import traceback
import warnings

import attrs
import torch
from drill_cases import case
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

import inradius
from inradius import Attack, Certifier, ExampleRNG, InputError, Property, UnsupportedError

PART = 250
NIGHTLY = os.environ.get("INRADIUS_HYPOTHESIS_PROFILE") == "nightly"
COUNT = int(os.environ.get("INRADIUS_DRILL", "10000" if NIGHTLY else "500"))
FIRST = int(os.environ.get("INRADIUS_DRILL_SEED", "0"))
CERTIFIERS = ["interval()", "dual()", "crown()"]
# one of these is added, because each costs as much as all the others
OTHERS = [
    "alpha(steps=4, keep_maximising=True)",
    "alpha(steps=3, layers='all')",
    "dual(intersect=False)",
    "dual(inner='interval')",
    "crown(intersect=False, best=False)",
    "crown(inner='interval')",
    "certifier_cascade(steps=3)",
    "projected(projections=200, failure=0.05)",
    "lp()",
    "milp(seconds=2)",
]
# these refuse sets and relaxations for which they have no program or norm
CHOOSY = ("projected", "lp", "milp")
BREAK = "pgd(steps=10, restarts=2, objective=margin(), keep_maximising=True)"
# a Wasserstein projection solves a program; this attack only needs a maximiser
BREAK_BY_VERTICES = "frank_wolfe(steps=12)"
# `parts` is called `union` in the second edition of the design
PARTS = next(name for name in ("union", "parts") if name in inspect.signature(Certifier.__call__).parameters)
GRID = [10 ** (step / 4) for step in range(-32, 7)]


@attrs.define
class Outcome:
    """The outcome of one triple."""

    seed: int
    name: str = ""
    known: bool = True
    status: str = "open"
    finite: bool = False
    holds: list[str] = attrs.field(factory=list)
    refusals: list[str] = attrs.field(factory=list)
    contradictions: list[str] = attrs.field(factory=list)
    chances: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)


def margins(model, x, y, deltas, classes):
    """The margins at every point, (P, B, K)."""
    prop = Property.margins(y, classes, dtype=torch.float64)
    logits = model((x + deltas).flatten(0, 1)).unflatten(0, deltas.shape[:2])
    return torch.einsum("bko,pbo->pbk", prop.weights, logits)


def spread_out(x, count):
    """The inputs once for each of P points, (P · B, *S)."""
    return x.expand(count, *x.shape).flatten(0, 1)


def downhill(model, x, y, deltas, classes):
    """A direction for each point in which one of its margins falls, the rows in turn, (P, B, *S)."""
    moving = deltas.detach().requires_grad_()
    values = margins(model, x, y, moving, classes)
    row = torch.arange(len(deltas)) % values.shape[2]
    values[torch.arange(len(deltas)), :, row].sum().backward()
    return (
        -torch.zeros_like(moving) if moving.grad is None else -moving.grad.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    )


def starts(x, draw, classes):
    """Directions of rows, and a few random ones, (P, B, *S)."""
    generator = torch.Generator().manual_seed(draw.getrandbits(30))
    return torch.randn(2 * (classes - 1) + 2, *x.shape, generator=generator, dtype=x.dtype)


def broken_radius(found, x, classes):
    """An estimate of the smallest factor of the radius at which a step to an extreme point fools the first input."""
    x, y, draw = x[:1], found.y[:1], found.draw
    ways = starts(x, draw, classes)
    ways[: classes - 1] = downhill(found.exact, x, y, torch.zeros_like(ways[: classes - 1]), classes)
    everywhere = spread_out(x, len(ways))
    steps = [found.threat.scaled(factor).linear_max(ways.flatten(0, 1), everywhere).view_as(ways) for factor in GRID]
    with torch.no_grad():
        lowest = margins(found.exact, x, y, torch.cat(steps), classes).view(len(GRID), -1).nan_to_num(nan=1.0).amin(1)
    return next((factor for factor, low in zip(GRID, lowest.tolist(), strict=True) if low < 0), GRID[-1])


def drawn_radius(found, x, classes):
    """A radius around the one at which a step fools. Most are below it, so that both sides occur often."""
    if found.spec.startswith("l0"):
        return found.threat
    share = found.draw.uniform(1.0, 2.0) if found.draw.random() < 0.35 else 10 ** found.draw.uniform(-1.5, 0.0)
    return found.threat.scaled(broken_radius(found, x, classes) * share)


def corners(x, threat, draw):
    """All corners of the box around the set where they are few, and some where they are many, (P, B, *S)."""
    low, high = threat.hull(x)
    size = x[0].numel()
    if size <= 8:
        signs = torch.tensor(list(itertools.product([0.0, 1.0], repeat=size)), dtype=x.dtype)
    else:
        signs = torch.rand(64, size, generator=torch.Generator().manual_seed(draw.getrandbits(30))).round().to(x.dtype)
    signs = signs.view(-1, 1, *x.shape[1:])
    return torch.where(signs > 0, high, low)


def unit_extremes(x, threat):
    """The set's extreme points along each axis, (P, B, *S)."""
    size = x[0].numel()
    unit = torch.eye(size, dtype=x.dtype).view(size, 1, *x.shape[1:]).expand(-1, *x.shape)
    ways = torch.cat([unit, -unit])
    return threat.linear_max(ways.flatten(0, 1), spread_out(x, len(ways))).view_as(ways)


def descent(found, x, threat, classes):
    """Points on the way down, by steps to extreme points, and in a convex set also by ever shorter steps towards them."""
    points, deltas = [], starts(x, found.draw, classes) * 0
    everywhere = spread_out(x, len(deltas))
    rng = ExampleRNG(2, torch.arange(len(everywhere)))
    half = len(deltas) // 2
    deltas[half:] = threat.sample(everywhere, rng=rng).view_as(deltas)[half:]
    for step in range(8):
        ways = downhill(found.exact, x, found.y, deltas, classes)
        extreme = threat.linear_max(ways.flatten(0, 1), everywhere).view_as(deltas)
        points.append(extreme)
        deltas = deltas + 2 / (step + 2) * (extreme - deltas) if threat.convex else extreme
        points.append(deltas)
    return torch.cat(points)


def members(found, x, threat, classes):
    """Points of the set in float64, (P, B, *S). None is outside by any rounding."""
    by_vertices = "wasserstein" in found.spec
    parts = [torch.zeros_like(x)[None], descent(found, x, threat, classes)]
    if found.draw.random() < 0.4:
        attack = inradius.make(BREAK_BY_VERTICES if by_vertices else BREAK, Attack)
        parts.append(attack(found.exact, x, found.y, threat).delta[None])
    if not by_vertices:
        parts += [corners(x, threat, found.draw), unit_extremes(x, threat)]
    rng = ExampleRNG(1, torch.arange(len(x)))
    parts += [threat.sample(x, rng=rng)[None] for _ in range(4)]
    # every set here holds t · δ with δ, so that a step back by rounding stays within
    deltas = torch.cat(parts).detach() * (1 - 1e-9)
    within = threat.contains(deltas.flatten(0, 1), spread_out(x, len(deltas)), tol=0.0)
    return deltas * within.view(*deltas.shape[:2], *(1,) * (x.ndim - 1))


class Noise(TorchDispatchMode):
    """A mode in which every operator's inputs and parameters are off by a random rounding error of float64."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        schema = function._schema
        if not schema.is_mutable and all(each.alias_info is None for each in schema.returns):
            args = tree_map(self.shaken, args)
        return function(*args, **(kwargs or {}))

    def shaken(self, value):
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float64:
            return value
        signs = torch.randint(0, 2, value.shape, generator=self.generator, dtype=torch.float64) * 2 - 1
        return value * (1 + 2.0**-52 * signs)


@torch.no_grad()
def own_error(found, x, delta, classes):
    """An estimate of the change that float64 rounding makes in the margins at a point (B, *S), from noise of its size, (B, K)."""
    values = []
    for seed in range(6):
        with Noise(seed):
            values.append(margins(found.exact, x, found.y, delta[None], classes)[0])
    values = torch.stack(values)
    return (8 * (values.amax(0) - values.amin(0)) + 1e-13 * values[0].abs()).nan_to_num(nan=math.inf)


def contradicted(found, x, proof, points, values, classes):
    """A sentence where a point has a value below a bound, or a wrong class despite a certificate, beyond rounding."""
    least = proof.lower.double() - proof.error.double()
    lowest, place = values.min(0)
    # no comparison holds with NaN, so a bound that overflowed claims nothing
    suspects = (least > lowest) | (proof.certified[:, None] & (lowest < 0))
    for row, column in suspects.nonzero().tolist():
        own = own_error(found, x, points[place[row, column]], classes)[row, column]
        value = lowest[row, column]
        if least[row, column] > value + own or (proof.certified[row] and value < -own):
            return (
                f"example {row}, row {column}: bound {least[row, column]:.6g}, but {value:.6g} is reached (± {own:.2g})"
            )
    return None


def operator_of(error):
    """The operator, or the reason, that a refusal names."""
    text = str(error).split("(")[0] if "cannot be captured" in str(error) else str(error)
    for pattern in (r"aten[.:]+(\w+)", r"(?:is|uses|of) (\w+), which"):
        match = re.search(pattern, text)
        if match:
            return match[1]
    return " ".join(text.split()[:9])


def last_lines():
    """The end of a traceback."""
    return "\n".join(traceback.format_exc().splitlines()[-7:])


def checked(seed, build=case, others=None):
    """The outcome of one seed's triple. No error is raised."""
    outcome = Outcome(seed)
    try:
        _check(build(seed), outcome, others)
    except InputError as error:
        # a network in half precision may overflow in the set
        (outcome.refusals if "NaN or infinite" in str(error) else outcome.errors).append(f"seed {seed}: {error}"[-60:])
    except Exception:
        outcome.errors.append(f"seed {seed}, the drill itself\n{last_lines()}")
    return outcome


def _check(found, outcome, others):
    outcome.name, outcome.known = " ".join([found.name, *found.operators]), found.known
    x, classes = found.x.double(), found.classes
    threat = drawn_radius(found, x, classes)
    points = members(found, x, threat, classes)
    with torch.no_grad():
        values = margins(found.exact, x, found.y, points, classes).nan_to_num(nan=math.inf)
    for spec in (*CERTIFIERS, *(others or [found.draw.choice(OTHERS)])):
        _certify(found, outcome, spec, threat, points, values)
    attacked = bool((values[:, 0] <= 0).any())
    outcome.status = "attacked" if attacked else "certified" if outcome.holds else "open"


def _certify(found, outcome, spec, threat, points, values):
    part = found.draw.choice(["each", "hull"])
    what = f"seed {outcome.seed}, {spec} {part}, {threat}, {found.x.dtype}, {outcome.name}"
    choosy = spec.startswith(CHOOSY)
    try:
        with warnings.catch_warnings():
            # a solver that fails on numbers of very different sizes leaves the bound unchanged
            warnings.filterwarnings("ignore", message=".* keeps the bound that it had before")
            proof = inradius.make(spec, Certifier)(found.model, found.x, found.y, threat, **{PARTS: part})
    except InputError as error:
        # a network in half precision may overflow at its own input
        (outcome.refusals if "NaN or infinite" in str(error) else outcome.errors).append(f"{what}: {error}"[-60:])
        return
    except UnsupportedError as error:
        outcome.refusals.append(
            f"{spec.split('(')[0]}: {' '.join(str(error).split()[-6:])}" if choosy else operator_of(error)
        )
        return
    except Exception:
        outcome.errors.append(f"{what}\n{last_lines()}")
        return
    outcome.finite |= bool(proof.lower.isfinite().all())
    outcome.holds += [spec] if bool(proof.certified[0]) else []
    wrong = contradicted(found, found.x.double(), proof, points, values, values.shape[2] + 1)
    if wrong:
        only_likely = any(claim not in ("float", "real") for claim in proof.claim)
        (outcome.chances if only_likely else outcome.contradictions).append(f"{what}: {wrong}")


@attrs.define
class Table:
    """The outcomes of many triples, counted."""

    outcomes: list[Outcome] = attrs.field(factory=list)
    seconds: float = 0.0

    def add(self, outcome, seconds):
        self.outcomes.append(outcome)
        self.seconds += seconds

    def all(self, name):
        return [each for outcome in self.outcomes for each in getattr(outcome, name)]

    @property
    def finite_share(self):
        """The share of the triples with known operators that have finite bounds."""
        known = [outcome for outcome in self.outcomes if outcome.known]
        return sum(outcome.finite for outcome in known) / max(1, len(known))

    @property
    def status(self):
        return collections.Counter(outcome.status for outcome in self.outcomes)

    def __str__(self):
        known = [outcome for outcome in self.outcomes if outcome.known]
        names = collections.Counter(name for o in self.outcomes for name in {*o.refusals})
        least = [o for o in known if not o.finite]
        lines = [
            f"triples {len(self.outcomes)}: {dict(self.status)}, {self.seconds / max(1, len(self.outcomes)):.2f} s each",
            f"certified by {dict(collections.Counter(self.all('holds')))}",
            f"finite bounds for {self.finite_share:.1%} of {len(known)} triples whose operators had a rule",
            *(f"  without: seed {o.seed} {o.name}: {sorted({*o.refusals})}" for o in least[:20]),
            f"contradictions {len(self.all('contradictions'))}, of what is only likely {len(self.all('chances'))}",
            *self.all("contradictions")[:20],
            *self.all("chances")[:5],
            f"tracebacks {len(self.all('errors'))}",
            *self.all("errors")[:5],
            "refusals by operator, in triples:",
            *(f"  {count:5d}  {name}" for name, count in names.most_common()),
        ]
        return "\n".join(lines)


def drill(seeds, build=case, others=None):
    """The table of every seed's triple."""
    table = Table()
    for seed in seeds:
        started = time.perf_counter()
        outcome = checked(seed, build, others)
        table.add(outcome, time.perf_counter() - started)
    return table


def demand(table, share=0.2):
    """Passes if there is no contradiction and no traceback, if known operators have bounds, and if both sides occur often."""
    print(table)
    count = len(table.outcomes)
    assert not table.all("contradictions"), str(table)
    # a probabilistic bound fails sometimes, and much less often than it states
    assert len(table.all("chances")) <= 1 + 0.01 * count, str(table)
    assert not table.all("errors"), str(table)
    assert table.finite_share >= 0.9, str(table)
    assert table.status["certified"] >= share * count, str(table)
    assert table.status["attacked"] >= share * count, str(table)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    given = [int(argument) for argument in sys.argv[1:]] or [FIRST, COUNT]
    told = drill(range(given[0], given[0] + given[1]))
    print(told)
    sys.exit(bool(told.all("contradictions") or told.all("errors")))
