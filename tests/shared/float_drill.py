"""What is certified at level "float" holds in every execution: other orders of summation, batches, threads, layouts, kernels.

Random networks of every activation, in three types; the offset of a property is sought at which the certificate is only just given.
Then the model is executed by torch in many ways, and by loops of our own that add up every layer's terms in other orders,
with and without fused products, subnormal numbers, and wider accumulators. No execution may lose the property.

``python tests/shared/float_drill.py FIRST COUNT`` runs networks in a row and prints the table; ``-m slow`` runs 2,000.
"""

import collections
import contextlib
import inspect
import math
import statistics
import sys
import time
import traceback
import warnings
from fractions import Fraction

import attrs
import torch
from exact_arithmetic import AFFINE, Skip, Table, downhill, drawn, rows_of
from exact_fractions import flushing
from torch import nn

import inradius
from inradius import Certifier, InputError, Property, ThreatModel, UnsupportedError

HAS_LEVELS = "claim" in inspect.signature(Certifier.__call__).parameters
ASKED = {"claim": "float"} if HAS_LEVELS else {}
CERTIFIERS = ("interval()", "dual()", "crown()", "crown()", "alpha(steps=2)")
# radii beside the size of the input; bounds of a point are as tight as can be
SIZES = (0.0, 0.0, 0.0, 2.0**-20, 2.0**-12, 2.0**-6)
BATCHES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64)
COUNT, PART = 2000, 250


# sums in any order


@attrs.frozen
class Variant:
    """One way to execute a network."""

    order: str = "natural"
    fused: bool = False
    flush: bool = False
    bias_first: bool = False
    # how many units of the last place smooth functions are off, in the direction that hurts
    library: int = 0

    def __str__(self):
        extras = [name for name in ("fused", "flush", "bias_first") if getattr(self, name)]
        return " ".join([self.order, *extras, *(["library"] if self.library else [])])


def by(key):
    return lambda terms, rng: key(terms).argsort(dim=2, stable=True)


# places (P, N, k) of terms (P, N, k) in the order in which they are added
ORDERS = {
    "natural": lambda terms, rng: torch.arange(terms.shape[2]).expand_as(terms),
    "reversed": lambda terms, rng: torch.arange(terms.shape[2]).flip(0).expand_as(terms),
    "random": lambda terms, rng: torch.rand(terms.shape, generator=rng).argsort(dim=2),
    "ascending": by(lambda terms: terms),
    "descending": by(lambda terms: -terms),
    "small first": by(lambda terms: terms.abs()),
    "large first": by(lambda terms: -terms.abs()),
    "positive first": by(lambda terms: (terms < 0).to(torch.int8)),
    "negative first": by(lambda terms: (terms > 0).to(torch.int8)),
}


WIDER = {torch.float16: torch.float32, torch.float32: torch.float64, torch.float64: torch.float64}


def flushed(z):
    """Subnormal numbers as zeros."""
    return torch.where(z.abs() < torch.finfo(z.dtype).smallest_normal, torch.zeros_like(z), z)


def narrowed(total, rest, dtype):
    """total + rest, float64 with |rest| a rounding error of total, rounded once to a shorter type."""
    # rounded to odd first, after which another rounding is as good as one
    total = _to_odd(total, torch.nextafter(total, torch.where(rest > 0, math.inf, -math.inf).to(total)), rest != 0)
    single = total.float()
    if dtype == torch.float32:
        return single
    toward = torch.where(total > single.double(), math.inf, -math.inf).float()
    return _to_odd(single, torch.nextafter(single, toward), single.double() != total).to(dtype)


def _to_odd(value, other, inexact):
    even = value.view(torch.int64 if value.dtype == torch.float64 else torch.int32) % 2 == 0
    return torch.where(inexact & even, other, value)


def fused(weight, z, sum_):
    """weight · z + sum with one rounding, for types shorter than float64; in float64 with two."""
    if sum_.dtype == torch.float64:
        return weight * z + sum_
    product, addend = weight.double() * z.double(), sum_.double()
    total, rest = two_sum(product, addend)
    return narrowed(total, rest, sum_.dtype)


def two_sum(a, b):
    """fl(a + b) and what rounding took from it."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def stepped(value, direction, count):
    """Each number so many units of the last place up or down; zeros stay."""
    whole = {torch.float16: torch.int16, torch.float32: torch.int32, torch.float64: torch.int64}[value.dtype]
    move = torch.where(value > 0, direction, -direction).to(whole) * count
    moved = (value.contiguous().view(whole) + move).view(value.dtype)
    return torch.where((value == 0) | ~moved.isfinite(), value, moved)


SMOOTH = (nn.Sigmoid, nn.Tanh, nn.Softplus, nn.SiLU, nn.GELU, nn.ELU, nn.CELU)


class Ordered:
    """A network executed by loops over each layer's terms; ``pulls`` says per layer which way lowers the row."""

    def __init__(self, model, variant, pulls, seed=0):
        self.model, self.variant, self.pulls, self.tables = model, variant, pulls, {}
        self.rng = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def __call__(self, x):
        return self._value(self.model, self._out(x))

    def _out(self, z):
        return flushed(z) if self.variant.flush else z

    def _value(self, module, z):
        if isinstance(module, nn.Sequential):
            for part in module:
                z = self._value(part, z)
            return z
        if isinstance(module, Skip):
            return self._out(z + self._value(module.body, z))
        if isinstance(module, AFFINE):
            return self._affine(module, z)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._batch_norm(module, z)
        value = module(z)
        if self.variant.library and isinstance(module, SMOOTH):
            moved = stepped(value, self.pulls[module].expand_as(value), self.variant.library)
            value = torch.where(value == z, value, moved)
        return self._out(value)

    def _batch_norm(self, module, z):
        """The centred value times the factor, in place of torch's one product and sum."""
        shape = (1, -1, *[1] * (z.ndim - 2))
        scale = module.weight / (module.running_var + module.eps).sqrt()
        centred = self._out(z - module.running_mean.view(shape))
        return self._out(self._out(centred * scale.view(shape)) + module.bias.view(shape))

    def _affine(self, module, z):
        if module not in self.tables:
            self.tables[module] = Table.of(module, tuple(z.shape[1:]))
        table = self.tables[module]
        taken, weight, bias = z.flatten(1)[:, table.index], self._out(table.weight), self._out(table.bias)
        weight, start = weight.expand_as(taken), bias.expand(len(z), -1)
        if self.variant.order == "greedy":
            total = self._greedy(weight, taken, start, self.pulls[module].flatten(1))
        else:
            total = self._sum(weight, taken, start)
        return total.view(len(z), *table.shape)

    def _sum(self, weight, z, bias):
        order, terms = self.variant.order, self._out(weight * z)
        if order == "wide":
            wide = WIDER[z.dtype]
            return self._out(((weight.to(wide) * z.to(wide)).sum(2) + bias.to(wide)).to(z.dtype))
        if order in ("pairwise", "lanes"):
            total = self._pairwise(terms) if order == "pairwise" else self._lanes(terms, 4)
            return self._out(total + bias)
        places = ORDERS[order](terms, self.rng)
        weight, z = weight.gather(2, places), z.gather(2, places)
        return self._loop(weight, z, bias)

    def _loop(self, weight, z, bias):
        total = bias if self.variant.bias_first else torch.zeros_like(bias)
        for place in range(z.shape[2]):
            total = self._added(weight[..., place], z[..., place], total)
        return total if self.variant.bias_first else self._out(total + bias)

    def _added(self, weight, z, total):
        if self.variant.fused:
            return self._out(fused(weight, z, total))
        return self._out(total + self._out(weight * z))

    def _pairwise(self, terms):
        while terms.shape[2] > 1:
            odd = terms[..., -1:] if terms.shape[2] % 2 else terms[..., :0]
            even = terms[..., : terms.shape[2] // 2 * 2]
            terms = torch.cat([self._out(even[..., ::2] + even[..., 1::2]), odd], dim=2)
        return terms[..., 0]

    def _lanes(self, terms, count):
        """As kernels with vector registers: several sums side by side, added at the end."""
        terms = nn.functional.pad(terms, (0, -terms.shape[2] % count)).unflatten(2, (-1, count))
        total = terms[:, :, 0]
        for place in range(1, terms.shape[2]):
            total = self._out(total + terms[:, :, place])
        return self._pairwise(total)

    def _greedy(self, weight, z, bias, pull):
        """At each step the term whose rounding moves the sum furthest in the direction ``pull`` (P, N)."""
        total, left = bias, weight != 0
        terms = self._out(weight * z)
        for _ in range(z.shape[2]):
            found = fused(weight, z, total[..., None].expand_as(z)) if self.variant.fused else total[..., None] + terms
            found = self._out(found)
            # what rounding takes from the exact sum, in a type wide enough or by the error of a sum
            taken = two_sum(total[..., None].expand_as(z), terms)[1]
            gain = torch.where(left, -taken * pull[..., None], -math.inf)
            place = gain.argmax(2, keepdim=True)
            chosen = left.gather(2, place).squeeze(2)
            total = torch.where(chosen, found.gather(2, place).squeeze(2), total)
            left = left.scatter(2, place, False)
        return total


def pulls(model, x, weights):
    """The sign, per layer and number, of the change that lowers a row of the outputs, from a pass in float64."""
    kept, handles = {}, []

    def keep(module, _, value):
        value.retain_grad()
        kept[module] = value

    for module in model.modules():
        if not isinstance(module, nn.Sequential | Skip):
            handles.append(module.register_forward_hook(keep))
    with torch.enable_grad():
        (model(x.double().requires_grad_()) @ weights.double()).sum().backward()
    for handle in handles:
        handle.remove()
    return {module: -value.grad.sign() for module, value in kept.items() if value.grad is not None}


def matched(model, wide, found):
    """The pulls of the model's own modules, found at those of its copy."""
    pairs = zip(model.modules(), wide.modules(), strict=True)
    return {own: found.get(other, torch.zeros(1, 1)).to(torch.float32) for own, other in pairs}


def variants(draw):
    """The ways to add up of one triple: every order, in a random setting, and the greedy one in several."""
    flags = [(draw.random() < 0.5, draw.random() < 0.5, draw.random() < 0.5) for _ in range(len(ORDERS) + 4)]
    orders = [*ORDERS, "random", "pairwise", "lanes", "wide"]
    found = [Variant(order, *flag) for order, flag in zip(orders, flags, strict=True)]
    return [*found, Variant("greedy"), Variant("greedy", fused=True), Variant("greedy", flush=True, library=4)]


# executions by torch


@contextlib.contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def no_mkldnn():
    with warnings.catch_warnings():
        # torch tells of TF32 on other machines where this is set
        warnings.simplefilter("ignore")
        with torch.backends.mkldnn.flags(enabled=False):
            yield


SETTINGS = {
    "one thread": lambda: threads(1),
    "two threads": lambda: threads(2),
    "flush_denormal": flushing,
    "mkldnn off": no_mkldnn,
    "nnpack off": lambda: torch.backends.nnpack.flags(enabled=False),
}


def in_batch(model, x, size, draw):
    """Each point (P, *S) at a place of a batch among other inputs."""
    rng, outputs = torch.Generator().manual_seed(draw.getrandbits(30)), []
    for point in x:
        others = (torch.rand(size, *point.shape, generator=rng) * (1 + point.abs().max().float())).to(x.dtype)
        place = draw.randrange(size)
        others[place] = point
        outputs.append(model(others)[place])
    return torch.stack(outputs)


@torch.no_grad()
def by_torch(model, x, draw):
    """The outputs of several executions by torch, pairs of a name and (P, O)."""
    found = []
    for name, setting in SETTINGS.items():
        with setting():
            found.append((name, model(x)))
            found.append((f"{name}, alone", torch.cat([model(point[None]) for point in x])))
    for size in draw.sample(BATCHES, 6):
        setting = draw.choice(list(SETTINGS))
        with SETTINGS[setting]():
            found.append((f"batch {size}, {setting}", in_batch(model, x, size, draw)))
    if x.ndim == 4:
        form = torch.channels_last
        found.append(("channels last", model.to(memory_format=form)(x.contiguous(memory_format=form))))
        model.to(memory_format=torch.contiguous_format)
    return found


@torch.no_grad()
def by_loops(found, x, weights, draw):
    """The outputs of the executions by our own loops."""
    ways = matched(found.model, found.wide, pulls(found.wide, x, weights))
    return [(str(v), Ordered(found.model, v, ways, draw.getrandbits(30))(x)) for v in variants(draw)]


# the drill


@attrs.define
class Outcome:
    """What became of one triple."""

    seed: int
    what: str = ""
    bits: int = 0
    # whether a certificate was given at the level, and the executions that lose the property in spite of it
    given: dict[str, bool] = attrs.field(factory=dict)
    lost: dict[str, list[str]] = attrs.field(factory=dict)
    refusals: list[str] = attrs.field(factory=list)
    errors: list[str] = attrs.field(factory=list)
    # what the level asks for beyond the exact value, over what executions lose at most
    room: list[float] = attrs.field(factory=list)
    executions: int = 0


def values(outputs, weights, offset):
    """weights · outputs + offset for each point, rounded once; the weights are small whole numbers."""
    row = weights.tolist()
    terms = ([w * o for w, o in zip(row, point, strict=True)] for point in outputs.double().tolist())
    return [math.fsum([*part, offset]) if all(map(math.isfinite, part)) else math.nan for part in terms]


def points(found, weights, eps):
    """The input, and inputs of its type within the set: where the row falls, and corners at random, (P, *S)."""
    if not eps:
        return found.x
    slope = downhill(found.wide, found.x, weights[None])[0].sign()
    rng = torch.Generator().manual_seed(found.draw.getrandbits(30))
    corners = [-slope, *((torch.rand(slope.shape, generator=rng) < 0.5).double() * 2 - 1 for _ in range(2))]
    moved = torch.stack([found.x[0], *((found.x[0].double() + eps * corner).to(found.x.dtype) for corner in corners)])
    return _within(found.x, moved, eps)


def _within(x, moved, eps):
    """The points, with the coordinates that rounding took out of the set put back."""
    flat, centre = moved.flatten(1).double().tolist(), x.flatten().double().tolist()
    rows = [
        [m if abs(Fraction(m) - Fraction(c)) <= Fraction(eps) else c for m, c in zip(row, centre, strict=True)]
        for row in flat
    ]
    return torch.tensor(rows, dtype=torch.float64).view(moved.shape).to(x.dtype)


def barely(found, certifier, threat, weights):
    """For each level the least offset found at which the certificate is given, {level: offset}."""
    scale = max(1e-30, float(found.wide(found.x.double()).abs().max()))
    start = -float(certify(found, certifier, threat, weights, [0.0]).lower[0, 0])
    if not math.isfinite(start):
        return {}
    steps = [scale * 2.0**step for step in range(-56, 8, 2)]
    # the bound may itself be lower than it is in a wider type
    coarse = [*(start - step for step in steps[::-1]), start, *(start + step for step in steps)]
    least = _least(certify(found, certifier, threat, weights, coarse), coarse)
    fine = []
    for offset in least.values():
        below = max((o for o in coarse if o < offset), default=offset)
        fine += [below + (offset - below) * step / 12 for step in range(1, 12)]
    if not fine:
        return least
    better = _least(certify(found, certifier, threat, weights, fine), fine)
    return {level: min(offset, better.get(level, offset)) for level, offset in least.items()}


def certify(found, certifier, threat, weights, offsets):
    """One certificate for the input with each of the offsets."""
    count = len(offsets)
    prop = Property(weights.expand(count, 1, -1), torch.tensor(offsets, dtype=torch.float64)[:, None])
    x = found.x.expand(count, *found.x.shape[1:])
    return certifier(found.model, x, None, threat, prop=prop, **ASKED)


def _least(proof, offsets):
    least = {}
    for offset, certified, level in zip(offsets, proof.certified.tolist(), proof.claim, strict=True):
        if certified:
            least[level] = min(offset, least.get(level, math.inf))
    return least


def checked(seed):
    """The outcome of one seed's triple; nothing is raised."""
    outcome = Outcome(seed)
    try:
        _check(outcome)
    except UnsupportedError as refusal:
        outcome.refusals.append(f"seed {seed}, {outcome.what}: {refusal}"[:200])
    except InputError as refusal:
        (outcome.refusals if "NaN or infinite" in str(refusal) else outcome.errors).append(
            f"seed {seed}: {refusal}"[:200]
        )
    except Exception:
        outcome.errors.append(f"seed {seed}, {outcome.what}\n" + "\n".join(traceback.format_exc().splitlines()[-6:]))
    return outcome


def _check(outcome):
    found = drawn(outcome.seed)
    outcome.bits = found.bits
    size = float(found.x.abs().max())
    eps = found.draw.choice(SIZES) * (2.0 ** round(math.log2(size)) if size else 1.0)
    spec = found.draw.choice(CERTIFIERS)
    outcome.what = f"{spec}, eps {eps:g}, float{found.bits}, {found}"
    threat = inradius.make(f"linf(eps={eps!r}, bounds=None)", ThreatModel)
    with torch.no_grad():
        weights = rows_of(found.draw, found.wide(found.x.double()).shape[1])[0]
        levels = barely(found, inradius.make(spec, Certifier), threat, weights)
    x = points(found, weights, eps)
    outputs = [*by_torch(found.model, x, found.draw), *by_loops(found, x, weights, found.draw)]
    outcome.executions = len(outputs) * len(x)
    for level, offset in levels.items():
        outcome.given[level] = True
        outcome.lost[level] = _lost(outputs, weights, offset)
    if "float" in levels and found.bits < 64:
        _compare(outcome, found, x, outputs, weights, levels["float"])


def _lost(outputs, weights, offset):
    """The executions whose outputs do not have the property at some point."""
    lost = []
    for name, output in outputs:
        least = min(values(output, weights, offset), key=lambda value: -math.inf if math.isnan(value) else value)
        if not least > 0:
            lost.append(f"{name}: {least:.3g} with the offset {offset!r}")
    return lost


@torch.no_grad()
def _compare(outcome, found, x, outputs, weights, offset):
    """How much room the level leaves beside the most that an execution takes."""
    exact = min(values(found.wide(x.double()), weights, offset))
    worst = min(min(values(output, weights, offset)) for _, output in outputs)
    if exact > worst:
        outcome.room.append(exact / (exact - worst))


@attrs.define
class Tally:
    """The outcomes of many triples, counted."""

    outcomes: list[Outcome] = attrs.field(factory=list)
    seconds: float = 0.0

    def given(self, level):
        return [outcome for outcome in self.outcomes if outcome.given.get(level)]

    def broken(self, level):
        return [outcome for outcome in self.given(level) if outcome.lost.get(level)]

    def all(self, name):
        return [each for outcome in self.outcomes for each in getattr(outcome, name)]

    def __str__(self):
        runs = sum(outcome.executions for outcome in self.outcomes)
        lines = [
            f"triples {len(self.outcomes)}, executions {runs}, {self.seconds / max(1, len(self.outcomes)):.2f} s each"
        ]
        for level in ("float", "real"):
            by_bits = collections.Counter(f"float{outcome.bits}" for outcome in self.given(level))
            lines.append(
                f"only just certified at level {level}: {len(self.given(level))} {dict(by_bits)}; some execution loses the "
                f"property in {len(self.broken(level))}"
            )
        ways = collections.Counter(text.split(":")[0] for o in self.broken("real") for text in o.lost["real"])
        lines.append(f"executions that lose what is certified as real alone: {dict(ways.most_common(12))}")
        room = self.all("room")
        if room:
            lines.append(
                f"what float asks for over what executions take: median {statistics.median(room):.3g}, least {min(room):.3g}"
            )
        for outcome in self.broken("float")[:20]:
            lines.append(f"LOST seed {outcome.seed}, {outcome.what}: {outcome.lost['float'][:3]}")
        lines += [f"refused {len(self.all('refusals'))}", *self.all("refusals")[:5]]
        lines += [f"tracebacks {len(self.all('errors'))}", *self.all("errors")[:5]]
        return "\n".join(lines)


def drill(seeds):
    table = Tally()
    for seed in seeds:
        started = time.perf_counter()
        table.outcomes.append(checked(seed))
        table.seconds += time.perf_counter() - started
    return table


def demand(table):
    """Nothing certified at level float is lost, and where there are levels, some is certified; orders matter to the rest."""
    print(table)
    assert not table.broken("float"), str(table)
    assert not table.all("errors"), str(table)
    count = len(table.outcomes)
    assert not HAS_LEVELS or len(table.given("float")) >= 0.4 * count, str(table)
    assert len(table.broken("real")) >= 0.1 * len(table.given("real")), str(table)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    first, count = (int(argument) for argument in sys.argv[1:])
    told = drill(range(first, first + count))
    print(told)
    sys.exit(bool(told.broken("float") or told.all("errors")))
