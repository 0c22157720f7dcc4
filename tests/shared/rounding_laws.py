"""Laws of rounding errors, at numbers for which rounding is about as large as the laws allow.

A sum of 1 and of many 0.99 u stays 1 where it is added up in order, which an execution may do; u is the unit roundoff. Numbers
just below the smallest normal one become 0 where a machine flushes them. Everything is compared as fractions.
"""

import contextlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from exact_fractions import flushing
from torch import nn

import inradius
from inradius import Certifier, ExampleRNG, Property, Relaxation, ThreatModel
from inradius_bounds.backward import certifier_bounds, curve_lines, optimised_lines, pass_ends, tangent_lines
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.relaxed_rows import RelaxedRows
from inradius_bounds.backward.rows import dense, dot
from inradius_bounds.backward.rows import windows as sums_of_windows
from inradius_bounds.backward.rows.dense import DenseRows
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.capture.trace import trace
from inradius_bounds.network.deviations import Deviations
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import Rounding, gamma, tiny, unit

F32, F64 = torch.float32, torch.float64
COUNT = 64
POINT = "linf(eps=0.0, bounds=None)"
AROUND = "linf(eps=1.0, bounds=None)"
# passes over this set end at the input; passes over boxes may end behind it
L2 = "l2(eps=0.0, bounds=None)"
LEAST = tiny(F32)
# the half of this number is flushed
NEAR = float(torch.tensor(1.98 * LEAST))


def exact(numbers):
    """The numbers as an array of fractions."""
    return np.vectorize(Fraction, otypes=[object])(numbers.detach().double().numpy())


def losing(*shape, dtype=F32):
    """The numbers 1 and many 0.99 u, in this shape."""
    found = torch.full((int(np.prod(shape)),), 0.99 * unit(dtype), dtype=dtype)
    found[0] = 1
    return found.view(shape)


def in_order(numbers):
    """The sums over the last axis, added up one by one."""
    found = numbers[..., 0]
    for place in range(1, numbers.shape[-1]):
        found = found + numbers[..., place]
    return found


def lost(numbers):
    """The exact error of a sum that is added up in order."""
    return abs(exact(numbers).sum() - Fraction(float(in_order(numbers))))


@contextlib.contextmanager
def summed_in_order():
    """A context in which products of rows with vectors are added up one by one."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (dense, curve_lines, pass_ends):
            patch.setattr(module, "dot", lambda rows, numbers: in_order((rows * numbers[:, None]).flatten(2)))
        yield


class Net(nn.Module):
    """A function of a model's parts, as a module."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, z):
        return self.function(self, z)


def linear(weight):
    """A layer with these weights."""
    found = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    found.weight.data.copy_(weight)
    return found


def ones(*shape, dtype=F32):
    return torch.ones(shape, dtype=dtype)


def values_of(model, x, spec=POINT, *, about=False, run=None):
    """The bounds of a model's values, and its nodes."""
    model, threat = model.eval().requires_grad_(False), inradius.make(spec, ThreatModel)
    network, rounding = trace(model, x, threat).network, Rounding(x.dtype, run)
    reference = certifier_bounds._reference(model, network, x, threat, rounding) if about else None
    return ValueBounds(network, x, threat, rounding, about=reference), network.nodes


def spread(*layers):
    """A layer that copies its input, then the given layers."""
    return nn.Sequential(linear(ones(COUNT, 1)), *layers)


def total(*layers, weight=None):
    """A layer that adds its inputs up, then the given layers."""
    return nn.Sequential(linear(ones(1, COUNT) if weight is None else weight), *layers)


def faint():
    """A layer that copies its input, times a number whose half is flushed."""
    return linear(torch.full((COUNT, 1), NEAR))


# references


def references_miss(place=0):
    """A reference may be the sum of its step, added up in order."""
    values, nodes = values_of(total(weight=losing(1, COUNT, dtype=F64)), ones(1, COUNT, dtype=F64), about=True)
    values.about._numbers[nodes[1]] = in_order(losing(1, 1, COUNT, dtype=F64))
    miss, errors = lost(losing(COUNT, dtype=F64)), values.errors
    owed = errors.rows.owed(nodes[1], single=True)[0]
    bounds = errors.deviations.unmatched(nodes[1]), errors.rows.own(nodes[1])[0], owed
    assert miss <= exact(bounds[place]).item()


def references_underflow():
    """A reference may be 0 where all its products are flushed."""
    least = tiny(F64)
    with flushing():
        values, nodes = values_of(
            total(weight=torch.full((1, COUNT), 0.5, dtype=F64)),
            torch.full((1, COUNT), 1.98 * least, dtype=F64),
            about=True,
        )
        bound, found = values.errors.deviations.unmatched(nodes[1]), values.about.value(nodes[1])
    assert abs(COUNT * Fraction(1.98 * least) / 2 - exact(found).item()) <= exact(bound).item()


def small_references_miss():
    """A reference may have an error that is flushed in the type of the bounds."""
    weight, small = losing(1, COUNT, dtype=F64), 2.0**-87
    with flushing():
        values, nodes = values_of(total(weight=weight.float()), torch.full((1, COUNT), small), about=True)
        bound = values.errors.deviations.unmatched(nodes[1])
    assert lost(weight) * Fraction(small) <= exact(bound).item()


# the debt of one step


def rows_meet(about=False):
    """Rows that meet at one number are added up in order."""
    # with this count, rows times constants are added up in fewer steps
    count, x = 512, torch.zeros(1, 1) if about else ones(1, 1)
    model = nn.Sequential(linear(ones(count, 1)), linear(ones(1, count)))
    values, nodes = values_of(model, x, AROUND if about else POINT, about=about)
    bound = exact(values.errors.rows.own(nodes[1])[0])[0]
    assert lost(losing(count)) <= (exact(losing(count)) * bound).sum()


MEETINGS = {
    "moved": lambda m, z: z.relu()[:, m.places],
    # the last number is a constant
    "joined": lambda m, z: torch.where(m.numbers > 0, z.relu(), m.numbers),
    "filters": lambda m, z: m.filters(z.relu()[:, :, None, None]),
    "filters in a row": lambda m, z: m.lines(z.relu()[:, :, None]),
}


def copies_meet(kind):
    """Rows that meet at a number which is moved, joined, or seen by many filters are added up in order."""
    filters, lines_of_filters = nn.Conv2d(1, COUNT, 1, bias=False), nn.Conv1d(1, COUNT, 1, bias=False)
    nn.init.ones_(filters.weight)
    nn.init.ones_(lines_of_filters.weight)
    numbers = ones(1, COUNT)
    numbers[0, -1] = 0
    parts = {
        "numbers": numbers,
        "places": torch.zeros(COUNT, dtype=torch.int64),
        "filters": filters,
        "lines": lines_of_filters,
    }
    x, spec = torch.full((1, 1), 0.5), "linf(eps=0.5, bounds=None)"
    values, nodes = values_of(Net(MEETINGS[kind], **parts), x, spec, about=True)
    assert nodes[-1].stored.numel() == COUNT
    bound, numbers = exact(values.errors.rows.own(nodes[-1])[0]).flatten(), losing(COUNT)
    numbers[-1] *= kind != "joined"
    assert lost(numbers) / 2 <= (exact(numbers) * bound).sum()


USES = 200


def sending(kind):
    """A network that sends ``USES`` parts to one value. In a pass the part that is 1 arrives first."""

    def uses(model, z):
        if kind == "bent":
            return torch.cat([z.relu() for _ in range(USES)], 1)
        less, z = z - 5, z.relu()
        if kind == "moved":
            return torch.cat([z.flip(1) for _ in range(USES)], 1)
        weights = reversed(losing(USES).tolist())
        if kind == "scaled":
            return torch.cat([z * weight for weight in weights], 1)
        # a second source of one use, whose numbers are 0
        return torch.cat([torch.add(less.relu(), z, alpha=weight) for weight in weights], 1)

    return Net(uses)


def parts_meet(kind, about=False, owed=None):
    """The debt of the senders for their parts is at least the loss of their sum, in a pass that adds them up one by one.

    owed: "rows" or "single" for the debt of the senders alone.
    """
    size, reach = (2 if kind == "moved" else 1), Fraction(1, 2 if about else 1)
    x, spec = (torch.full((1, size), 0.5), "linf(eps=0.5, bounds=None)") if about else (ones(1, size), POINT)
    values, nodes = values_of(sending(kind), x, spec, about=about)
    node = nodes[0] if kind == "bent" else next(each for each in nodes if len(values.network.uses[each]) >= USES)
    loss = lost(losing(USES))
    if owed is not None:
        paid = [values.errors.rows.owed(use, single=owed == "single")[0] for use in values.network.uses[node]]
        assert loss * reach <= sum(exact(each).sum() for each in paid)
        return
    rows = losing(USES) if kind in ("bent", "moved") else ones(USES)
    rows = torch.stack([rows, *[torch.zeros(USES)] * (size - 1)], 1).view(1, 1, -1)
    # this constant vanishes at the reference
    made = _pass(values, nodes[-1], rows, constant=-0.5 if about else 0.0)
    made.lines = {each: _unit_lines(values, each) for each in nodes if each.curved}
    pulled = exact(made.run(nodes[-1]).pending[nodes[0]].rows).sum()
    assert abs(exact(losing(USES)).sum() - pulled) == loss > USES * Fraction(unit(F32)) / 2
    assert loss * reach <= exact(made.owed).item()


def constants_meet(kind):
    """Constants that a step hands on are added up with the weights, and so are products of rows with constants."""
    shift = losing(COUNT)
    if kind == "handed":
        model = Net(lambda m, z: m.last(z + m.shift), shift=shift, last=total())
        values, nodes = values_of(model, torch.zeros(1, COUNT), L2)
        assert values.handed(nodes[1]) is not None
        bound = exact(values.errors.rows.own(nodes[2])[0]).sum()
    else:
        values, nodes = values_of(Net(lambda m, z: z.relu() + m.shift, shift=shift), torch.zeros(1, COUNT))
        bound = exact(values.errors.rows.own(nodes[-1])[0]).sum()
    assert lost(shift) <= bound


def constants_underflow():
    """Products of weights and constants are flushed."""
    parts = {"shift": torch.full((COUNT,), NEAR), "last": total(weight=torch.full((1, COUNT), 0.5))}
    with flushing():
        values, nodes = values_of(Net(lambda m, z: m.last(z + m.shift), **parts), torch.zeros(1, COUNT), L2)
        found, bound = values.constant(nodes[2]), values.errors.rows.own(nodes[2])[0]
    value = exact(parts["shift"]).sum() / 2
    assert abs(value - exact(found).item()) <= exact(bound).item()


@contextlib.contextmanager
def references_match():
    """A context in which references have no error, for laws whose references are 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Deviations, "unmatched", lambda self, node: torch.zeros_like(self.magnitudes.size(node)))
        yield


def distances_underflow(single=False):
    """Where a distance is flushed, the rounding of a large row times the distance is still counted."""
    row, small, eps = torch.tensor(5.3e37), torch.tensor(1e-20), 1e-19
    with flushing(), references_match():
        values, nodes = values_of(
            nn.Sequential(linear(small.view(1, 1)), nn.Flatten()),
            torch.zeros(1, 1),
            f"linf(eps={eps}, bounds=None)",
            about=True,
        )
        bound = values.errors.rows.owed(nodes[1], single=single)[0]
    moved = abs(Fraction(float(row * small)) - Fraction(float(row)) * Fraction(float(small))) * Fraction(eps)
    assert 0 < moved <= Fraction(float(row)) * exact(bound).item()


def sizes_underflow():
    """A size is no smaller than the sum of its products, which are flushed."""
    with flushing():
        values, nodes = values_of(total(weight=torch.full((1, COUNT), 0.25)), torch.full((1, COUNT), NEAR))
        size, given = values.errors.magnitudes.size(nodes[1]), values.errors.magnitudes.reach(nodes[0])
    assert exact(given).sum() / 4 <= exact(size).item()


def deviations_underflow():
    """A distance from a reference is no smaller than the sum of its products, which are flushed."""
    with flushing(), references_match():
        model, x = total(weight=torch.full((1, COUNT), 0.5)), torch.zeros(1, COUNT)
        values, nodes = values_of(model, x, f"linf(eps={NEAR!r}, bounds=None)", about=True)
        size, given = values.errors.deviations.deviation(nodes[1]), values.errors.deviations.distance(nodes[0])
    assert COUNT * Fraction(NEAR) / 2 <= exact(given).sum() / 2 <= exact(size).item()


# executions


def an_execution_loses(count=COUNT, run=F32):
    """An execution adds up in order. Its error is infinite where a short type has no bound for that many numbers."""
    numbers = losing(count, dtype=run)
    values, nodes = values_of(total(weight=numbers[None].double()), ones(1, count, dtype=F64), run=run)
    assert float(lost(numbers)) <= float(values.errors.executions.affine(nodes[1]))


def an_execution_loses_both_signs():
    """An execution adds up in order, and the last term is the negative of the first: about half of all sizes is added up."""
    numbers = torch.cat([losing(COUNT), -torch.ones(1)])
    values, nodes = values_of(total(weight=numbers[None].double()), ones(1, COUNT + 1, dtype=F64), run=F32)
    bound = float(values.errors.executions.affine(nodes[1]))
    assert float(lost(numbers)) <= bound <= 0.6 * gamma(COUNT + 2, F32) * float(values.errors.magnitudes.size(nodes[1]))


def an_execution_loses_at_an_end(middle):
    """An execution adds up in order, at the upper end of a box of inputs from 2 ``middle`` - 1 to 1."""
    numbers, spec = losing(COUNT), f"linf(eps={1 - middle}, bounds=None)"
    x = torch.full((1, COUNT), middle, dtype=F64)
    values, nodes = values_of(total(weight=numbers[None].double()), x, spec, run=F32)
    assert float(lost(numbers)) <= float(values.errors.executions.affine(nodes[1]))


def an_execution_underflows():
    """An execution flushes each product."""
    with flushing():
        values, nodes = values_of(total(weight=torch.full((1, COUNT), 0.5)), torch.full((1, COUNT), NEAR), run=F32)
        bound = values.errors.executions.affine(nodes[1])
    assert COUNT * Fraction(NEAR) / 2 <= exact(bound).item()


def an_execution_takes_weights_for_0():
    """An execution takes each weight for 0."""
    small, large = 0.99 * LEAST, 1000.0
    values, nodes = values_of(total(weight=torch.full((1, COUNT), small)), torch.full((1, COUNT), large), run=F32)
    bound = values.errors.executions.affine(nodes[1])
    assert COUNT * exact(torch.tensor(small)).item() * Fraction(large) <= exact(bound).item()


def an_execution_takes_inputs_for_0(kind, about=False):
    """An execution takes each input for 0, where bounds are computed in float64: at a set's end, in its box, and after it."""
    x = torch.full((1, COUNT), 0.99 * LEAST, dtype=F64)
    model, spec = total(weight=torch.full((1, COUNT), 1e30, dtype=F64)), L2 if kind in ("below", "spanned") else POINT
    values, nodes = values_of(model, x, spec, about=about, run=F32)
    if kind == "box":
        low, inputs = values.box(nodes[0])[0] if not about else values.around(nodes[0])[0], 0 if about else exact(x)
        assert bool(np.all(exact(low) <= inputs - exact(x)))
    elif kind == "affine":
        assert exact(x).sum() * Fraction(1e30) <= exact(values.errors.boxes.whole(nodes[1])).item()
    else:
        rows = DenseRows(torch.full((1, 1, COUNT), 1e30, dtype=F64))
        ends = pass_ends._below(values, rows, False) if kind == "below" else pass_ends._spanned(values, rows)
        value = exact(x).sum() * Fraction(1e30) if about else 0
        assert value + exact(ends.low).item() - exact(ends.error).item() <= 0


def an_execution_overflows():
    """64 numbers are rounded up on the way and reach infinity, although their exact sum is finite."""
    last = 2.0**104
    numbers = torch.full((COUNT + 1,), 0.51 * last, dtype=F64)
    numbers[0] = torch.finfo(F32).max - 60 * last
    assert float(numbers.sum()) < torch.finfo(F32).max
    assert in_order(numbers.float()).isinf()
    values, nodes = values_of(linear(ones(1, COUNT + 1, dtype=F64)), numbers[None], run=F32)
    assert bool(values.errors.executions.affine(nodes[1]).isinf().all())


def a_curve(curve, ulps, value=1.0):
    """An execution of a curve misses its value by ``ulps`` units in the last place, or overflows, or flushes it."""
    values, nodes = values_of(nn.Sequential(curve()), ones(1, 1, dtype=F64), run=F32)
    bound = values.errors.executions.curve(nodes[1], torch.full((1, 1), value, dtype=F64))
    assert float(bound) >= (ulps * 2 * unit(F32) * value if value > LEAST else 0.99 * LEAST)


def overflowing_boxes():
    """The box of a curve contains executions that overflow."""
    values, nodes = values_of(nn.Sequential(nn.LeakyReLU()), torch.full((1, 1), 1e39, dtype=F64), run=F32)
    assert bool(values.box(nodes[1])[1].isinf().all())


# debts that are handed on


def single_rows_meet_in_norms():
    """A single row meets the factor of a batch norm, which is a quotient."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(400).eval()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.running_var.uniform_(0.5, 2)
    x, around = torch.full((1, 400), 0.5), "linf(eps=0.5, bounds=None)"
    values, nodes = values_of(nn.Sequential(nn.ReLU(), norm, nn.ReLU()), x, around, about=True)
    ((_, rows),) = UnitRows(torch.arange(400)[None], None, F32).through(nodes[2])
    found = rows.over(ones(1, 400))
    # here float64 is near enough to exact numbers
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    assert bool(((found.double() - factor).abs() / 2 <= values.errors.rows.owed(nodes[2], single=True)[0]).all())


def rolled(model, z):
    z = model.first(z.relu())
    for place in range(8):
        z = z + z.roll(2**place, 1)
    return z


def single_rows_of_several_uses():
    """A single row sees many numbers of a value that is used twice, and of the values made of it; the rows are added up."""
    weight = losing(256, 1)
    values, nodes = values_of(
        Net(rolled, first=linear(weight)), torch.full((1, 1), 0.5), "linf(eps=0.5, bounds=None)", about=True
    )
    bound = values.errors.rows.owed(nodes[-1], single=True)[0]
    assert lost(weight[:, 0]) / 2 <= exact(bound)[0, 0]


def steps_hand_on(side):
    """A sum of two layers has the debt of both."""
    first = linear(ones(COUNT, 1)) if side == 0 else linear(losing(1, COUNT))
    other = linear(torch.zeros_like(first.weight))
    x, model = ones(1, first.weight.shape[1]), Net(lambda m, z: m.first(z) + m.other(z), first=first, other=other)
    values, nodes = values_of(model, x, AROUND if side == 0 else POINT, about=side == 0, run=F32)
    bound = exact(values.errors.rows.owed(nodes[-1])[side])[0]
    assert lost(losing(COUNT)) <= ((exact(losing(COUNT)) * bound).sum() if side == 0 else bound.item())


# boxes


def intervals(run=None):
    """Middle and spread of an interval are added up in order, and so is an execution at its end."""
    weight = losing(1, COUNT)
    values, nodes = values_of(nn.Sequential(nn.ReLU(), linear(weight)), ones(1, COUNT), AROUND, run=run)
    # for numbers between 0 and 2 the ends are middle 1 less spread 1, and twice the sum
    miss = 2 * lost(losing(COUNT)) * (1 if run is None else 2)
    assert miss <= exact(values.errors.boxes.widening(nodes[2])).item()


def intervals_underflow():
    """Products of middle and of spread are flushed."""
    with flushing():
        values, nodes = values_of(nn.Sequential(nn.ReLU(), linear(torch.full((1, COUNT), 0.5))), torch.zeros(1, COUNT))
        bound = values.errors.boxes.widening(nodes[2])
    assert 2 * COUNT * Fraction(NEAR) / 2 <= exact(bound).item()


def affine_functions(kind):
    """The bounds of an affine function of the input miss the errors of its steps."""
    last = [nn.Flatten(), linear(ones(1, 1))] if kind == "steps" else []
    values, nodes = values_of(total(*last, weight=losing(1, COUNT)), ones(1, COUNT))
    assert lost(losing(COUNT)) <= exact(values.errors.boxes.whole(nodes[-1])).item()


def affine_functions_underflow():
    """The product of two small weights is lost, and a large distance follows."""
    small, eps = torch.tensor([[1e-23]]), 1e19
    values, nodes = values_of(
        nn.Sequential(linear(small), linear(small)), torch.zeros(1, 1), f"linf(eps={eps}, bounds=None)"
    )
    assert exact(small).item() ** 2 * Fraction(eps) <= exact(values.errors.boxes.whole(nodes[-1])).item()


def boxes_hold(curved):
    """The box of the sum 1 + 0.99 u contains it."""
    # sums along an axis, and layers that ask sets which are no boxes, have no errors in their boxes yet
    summed = Net(lambda m, z: (z.relu() * m.weight).sum(1, keepdim=True).relu(), weight=losing(1, 2))
    model = summed if curved else nn.Sequential(linear(losing(1, 2)), nn.ReLU())
    values, nodes = values_of(model, ones(1, 2), POINT if curved else L2)
    if curved:
        values.boxes[nodes[1]] = (ones(1, 2), ones(1, 2))
    low, high = (exact(side).item() for side in values.box(nodes[-2]))
    assert low <= exact(losing(2)).sum() <= high


def underflow_on_the_way(place=1):
    """Products of rows and weights are flushed, and large inputs follow."""
    with flushing():
        values, nodes = values_of(nn.Sequential(faint(), nn.ReLU()), torch.full((1, 1), 1000.0))
        found = exact(values.errors.rows.lost(nodes[place])).item()
    assert COUNT * Fraction(NEAR) / 2 * 1000 <= found


def underflow_at_a_curve():
    """Products of rows with a curve's offsets and bands are flushed."""
    with flushing():
        values, nodes = values_of(nn.ReLU(), torch.zeros(1, COUNT))
        found = exact(values.errors.rows.lost(nodes[1])).item()
    assert 2 * COUNT * Fraction(NEAR) / 2 <= found


def _draw(*shape, seed=0, dtype=F32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64).mul(2).sub(1).to(dtype)


def _holds(inner, outer):
    """One box lies in another, exactly."""
    (low, high), (lower, upper) = inner, outer
    assert bool(np.all(lower <= low))
    assert bool(np.all(high <= upper))


def small_boxes(count=2000):
    """Boxes of numbers about as small as the smallest normal one."""
    ends = (_draw(2, 1, count) * 4 * LEAST).sort(0).values
    return tuple(torch.where(side.abs() < LEAST, 0 * side, side) for side in ends)


def halves(small, last=True):
    """The middle and the half width of a box contain it: at the node where passes end (``last``), and at another node."""
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, 2000))
    box = small_boxes() if small else tuple(_draw(2, 1, 2000).sort(0).values)
    node = nodes[0 if last else 1]
    values.boxes[node] = box
    with flushing() if small else contextlib.nullcontext():
        middle, half = map(exact, values.sides if last else pass_ends._sides(values, node))
    _holds(tuple(map(exact, box)), (middle - half, middle + half))


def hulls(small):
    """The box of the input holds x + δ."""
    x, eps = _draw(1, 2000, seed=1), 0.3
    if small:
        x, eps = 4 * LEAST * x, 3 * LEAST
        x = torch.where(x.abs() < LEAST, 0 * x, x)
    with flushing() if small else contextlib.nullcontext():
        values, nodes = values_of(nn.ReLU(), x, f"linf(eps={eps!r}, bounds=None)")
        (low, high), box = values.room, values.box(nodes[0])
    _holds((exact(x) + exact(low), exact(x) + exact(high)), tuple(map(exact, box)))


def hulls_of_small_inputs(side):
    """The box of the input contains x + δ where a machine takes x and δ for 0."""
    small = torch.full((1, 1), 0.99 * LEAST)
    values, nodes = values_of(nn.ReLU(), side * small)
    # a set may answer so on another machine
    values.room = -small, small.clone()
    with flushing():
        found = values.box(nodes[0])[0 if side < 0 else 1]
    assert 2 * exact(small).item() <= side * exact(found).item()


def shorter_boxes(small):
    """A box in float64 lies in the same box in float32."""
    values, _ = values_of(nn.ReLU(), torch.zeros(1, 2000))
    box = _draw(2, 1, 2000, dtype=F64).sort(0).values * (4 * LEAST if small else 1)
    with flushing() if small else contextlib.nullcontext():
        found = values._outward(*box)
    _holds(tuple(map(exact, box)), tuple(map(exact, found)))


def boxes_around_references():
    """A box less the reference lies in the box that counts from the reference."""
    values, nodes = values_of(nn.Sequential(nn.Sigmoid()), torch.zeros(1, 2000, dtype=F64), about=True)
    box, center = tuple(_draw(2, 1, 2000, dtype=F64).sort(0).values ** 3), _draw(1, 2000, seed=1, dtype=F64) ** 3
    values.boxes[nodes[1]], values.about._numbers[nodes[1]] = box, center
    _holds(tuple(exact(side) - exact(center) for side in box), tuple(map(exact, values.around(nodes[1]))))


# lines


def _bent(values, nodes, below, above, *, folded=False, rows=None, flush=False):
    """Checks that rows on a curve's input, less their errors, lie below the rows on a curve that touches its lines."""
    (slope, low), (steep, high) = below, above
    relaxed = Relaxation(lower_slope=slope, lower_offset=low, upper_slope=steep, upper_offset=high)
    rows = ones(*values.x.shape, dtype=values.x.dtype)[:, None] if rows is None else rows
    with flushing() if flush else contextlib.nullcontext(), summed_in_order():
        found = curve_lines.CurveLines.of(values, nodes[1], relaxed)
        found = found.folded if folded else found
        bent = found.relaxed_rows(DenseRows(rows))
    touching = [(exact(a), exact(b)) for a, b in (below, above)]
    _below(values, nodes[:2], rows, bent, touching)


def _below(values, nodes, rows, bent, exact_lines):
    box, row, pulled = values.box(nodes[0]), exact(rows)[:, 0], exact(bent.function.rows)[:, 0]
    here, there = (0, 0) if values.about is None else (exact(values.about.value(each)) for each in nodes)
    least = None
    for end in map(exact, box):
        (slope, low), (steep, high) = exact_lines
        touched = np.where(row >= 0, slope * end + low, steep * end + high)
        part = row * (touched - there) - pulled * (end - here)
        least = part if least is None else np.minimum(least, part)
    claimed = exact(bent.constant)[:, 0]
    for lost_part in (bent.radius, bent.owed):
        claimed = claimed if lost_part is None else claimed - exact(lost_part)[:, 0]
    assert bool(np.all(claimed <= least.sum(1)))


def slopes_are_rounded(parallel, folded=False):
    """Rows times slopes, of many boxes of one number."""
    values, nodes = values_of(nn.Sequential(nn.Sigmoid()), torch.zeros(500, 1), AROUND, about=True)
    values.about._numbers[nodes[1]] = torch.zeros(500, 1, dtype=F64)
    slope, zero = _draw(500, 1), torch.zeros(500, 1)
    steep = slope if parallel else _draw(500, 1, seed=1)
    _bent(values, nodes, (slope, zero), (steep, zero), rows=_draw(500, 1, 1, seed=2), folded=folded)


def offsets_are_summed(part):
    """Rows times offsets, or bands, are added up in order."""
    values, nodes = values_of(nn.Sequential(nn.Sigmoid()), torch.zeros(1, COUNT))
    slope, offset = torch.zeros(1, COUNT), losing(1, COUNT)
    _bent(values, nodes, (slope, -offset), (slope, -offset if part == "offset" else offset))


def windows_are_summed():
    """Rows times offsets of an image are added up window by window, over one axis after the other."""
    shape, numbers = torch.Size([100, 2, 2]), losing(100)
    found = sums_of_windows.total(numbers.view(1, 1, 1, 1, 1, 100))
    assert abs(exact(found).sum() - exact(numbers).sum()) <= lost(numbers)
    assert lost(numbers) <= dot.dot_terms(shape) * Fraction(unit(F32))


def lines_underflow(part):
    """Offsets, bands and slopes are flushed; x is 1000."""
    values, nodes = values_of(nn.Sequential(nn.Sigmoid()), torch.full((1, 1), 1000.0 if part == "slope" else 1.0))
    zero, least = torch.zeros(1, 1), torch.full((1, 1), 1.9 * LEAST)
    above = (least, zero) if part == "slope" else (zero, least)
    below = (zero, zero) if part == "slope" else (zero, torch.full((1, 1), LEAST))
    _bent(values, nodes, below, above, rows=-ones(1, 1, 1), flush=True)


def lines_are_moved(whole):
    """A line that touches a curve at the reference counts from the reference, and large numbers cancel."""
    x = 100 * _draw(500, 1, dtype=F64)
    values, nodes = values_of(nn.Sequential(nn.Sigmoid()), x, "linf(eps=1e-30, bounds=None)", about=True)
    slope, value = _draw(500, 1, seed=1, dtype=F64), values.about.value(nodes[1])
    offset = value - slope * x
    if whole:
        values.boxes[nodes[0]] = (x, x)
        _bent(values, nodes, (slope, offset), (slope, offset))
        return
    found, missed = curve_lines.moved(values, nodes[1], slope, offset)
    truth = exact(slope) * exact(x) + exact(offset) - exact(value)
    assert bool(np.all(abs(exact(found) - truth) <= exact(missed)))


def _unit_lines(values, node):
    one, zero = torch.ones_like(values.box(node)[0]), torch.zeros_like(values.box(node)[0])
    relaxed = Relaxation(lower_slope=one, lower_offset=zero, upper_slope=one, upper_offset=zero)
    return curve_lines.CurveLines.of(values, node, relaxed)


def lines_hold(kind):
    """Lines hold the debt of their source and of the curve, in a pass and in an execution."""
    if kind == "handed":
        values, nodes = values_of(spread(nn.ReLU()), ones(1, 1))
        found = _unit_lines(values, nodes[2])
        assert lost(losing(COUNT)) <= (exact(losing(COUNT)) * exact(found.owed)[0]).sum()
    elif kind == "curve":
        values, nodes = values_of(nn.Sequential(nn.LeakyReLU()), ones(1, 1), run=F32)
        assert Fraction(4 * unit(F32)) <= exact(_unit_lines(values, nodes[1]).execution).item()
    else:
        values, nodes = values_of(total(nn.ReLU(), weight=losing(1, COUNT)), ones(1, COUNT), run=F32)
        found = _unit_lines(values, nodes[2])
        part = found.execution if kind == "execution" else found.folded.band
        assert lost(losing(COUNT)) <= exact(part).item()


def means_are_rounded(kind="slope"):
    """Means of two lines below a curve, with any share for each number."""
    if kind == "moved":
        x = 100 * _draw(500, 1, dtype=F64)
        values, nodes = values_of(nn.Sequential(nn.Tanh()), x, POINT, about=True)
        values.boxes[nodes[0]] = (x, x)
    else:
        values, nodes = values_of(nn.Sequential(nn.Tanh()), torch.zeros(500, 1), AROUND, about=True)
    rows, dtype = _draw(500, 1, 1, seed=2, dtype=values.x.dtype).abs(), values.x.dtype
    steep = 100 * _draw(500, 1, seed=3, dtype=dtype)
    # lines that cross where they touch the reference
    touching = [(slope, values.about.value(nodes[1]).to(dtype) - slope * values.x) for slope in (steep / 2, steep / 3)]
    if kind == "offset":
        touching = [(0 * offset, offset) for offset in (steep / 2, steep / 3)]
    with pytest.MonkeyPatch.context() as patch, summed_in_order():
        patch.setattr(type(nodes[1].operator.rule), "lines", lambda *given: (touching, [touching[0]]))
        fan = optimised_lines.LineRange.of(values, nodes[1])
        share = _draw(500, 1, 1, seed=4, dtype=dtype).abs()
        bent = optimised_lines.OptimisedLines(fan, share).relaxed_rows(DenseRows(rows))
    part = exact(share)[:, 0]
    mean = tuple((1 - part) * exact(touching[0][k]) + part * exact(touching[1][k]) for k in (0, 1))
    _below(values, nodes[:2], rows, bent, (mean, mean))


def means_hand_on(kind):
    """Means of lines, and lines of chosen slopes, hold the debt of their source, in a pass and in an execution."""
    by_slope, run = kind.startswith("tangents"), kind.endswith("execution")
    curve = nn.Tanh() if by_slope else nn.ReLU()
    network = total(curve, weight=losing(1, COUNT)) if run else spread(curve)
    values, nodes = values_of(network, ones(1, COUNT if run else 1), run=F32 if run else None)
    one = torch.ones_like(values.box(nodes[2])[0])
    with pytest.MonkeyPatch.context() as patch:
        if by_slope:
            # other errors are those of offsets
            patch.setattr(tangent_lines, "_range", lambda *given: (one, 0 * one))
            patch.setattr(tangent_lines.TangentRange, "offsets", lambda self, slope: (0 * slope, 0 * slope))
            found = tangent_lines.TangentRange.of(values, nodes[2])
        else:
            patch.setattr(type(nodes[2].operator.rule), "lines", lambda *given: ([(one, 0 * one)], [(one, 0 * one)]))
            found = optimised_lines.LineRange.of(values, nodes[2])
    if run:
        assert lost(losing(COUNT)) <= exact(found.execution).item()
    else:
        assert lost(losing(COUNT)) <= (exact(losing(COUNT)) * exact(found.owed)[0]).sum()


# passes


def _pass(values, node, rows, constant=0.0, *, run=False):
    found = BackwardPass(values, {}, {node: DenseRows(rows)}, torch.full(rows.shape[:2], constant, dtype=rows.dtype))
    found.owed = torch.zeros_like(found.constant)
    found.execution = torch.zeros_like(found.constant) if run else None
    return found


def passes_count_from_references():
    """Rows times references are added up in order."""
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, COUNT, dtype=F64), about=True)
    rows = losing(1, 1, COUNT, dtype=F64)
    made = _pass(values, nodes[1], rows)
    with summed_in_order():
        made._count_from(ones(1, COUNT, dtype=F64), DenseRows(rows))
        made.settle()
    assert abs(exact(rows).sum() - exact(made.constant).item()) <= exact(made.owed).item()


def passes_count_from_small_references():
    """Rows times a reference are flushed in float32."""
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, 1), about=True)
    made = _pass(values, nodes[1], ones(1, 1, 1))
    with flushing():
        made._count_from(torch.full((1, 1), 0.99 * LEAST, dtype=F64), DenseRows(ones(1, 1, 1)))
        made.settle()
        constant, bound = made.constant, made.owed
    assert abs(Fraction(0.99 * LEAST) - exact(constant).item()) <= exact(bound).item()


def constants_are_shifted(kind):
    """A constant, a sum or a radius loses a small number, or a rounded constant cancels."""
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, 1), about=True)
    small, made = torch.full((1, 1), 0.99 * unit(F32)), _pass(values, nodes[1], ones(1, 1, 1))
    if kind == "radius":
        made.radius = ones(1, 1)
        bent = RelaxedRows(DenseRows(ones(1, 1, 1)), torch.zeros(1, 1), small)
        made.lines = {nodes[1]: type("Stub", (), {"turn": None, "relaxed_rows": lambda self, rows: bent})()}
        made._through_curve(nodes[1], DenseRows(ones(1, 1, 1)))
        made.settle()
        miss = 1 + exact(small).item() - exact(made.radius).item()
    elif kind == "rounded":
        made.constant = -ones(1, 1)
        center = 1 + small.double()
        made._count_from(center, DenseRows(ones(1, 1, 1)))
        made.settle()
        miss = exact(center).item() - 1 - exact(made.constant).item()
    else:
        made.constant = ones(1, 1)
        made._shift(small)
        made.settle()
        miss = 1 + exact(small).item() - exact(made.constant).item()
    assert miss <= exact(made.owed).item()


def passes_pay(kind):
    """A pass counts the losses of rows where they begin, where they arrive, and at a curve."""
    curve = {"curve": [nn.ReLU()], "arrival": [nn.Flatten(), linear(ones(1, COUNT))]}.get(kind, [])
    if kind == "execution":
        values, nodes = values_of(total(weight=losing(1, COUNT)), ones(1, COUNT), run=F32)
        rows = ones(1, 1, 1)
    else:
        if kind == "arrival":
            curve[1].weight.data.copy_(losing(1, COUNT))
        values, nodes = values_of(spread(*curve), ones(1, 1))
        rows = ones(1, 1, 1) if kind == "arrival" else losing(1, 1, COUNT)
    made = _pass(values, nodes[-1], rows)
    made.lines = {node: _unit_lines(values, node) for node in nodes if node.curved}
    made.run(nodes[-1])
    assert lost(losing(COUNT)) <= exact(made.execution if kind == "execution" else made.owed).item()


def passes_underflow():
    """Products of rows and weights are flushed, and large inputs follow."""
    with flushing():
        values, nodes = values_of(nn.Sequential(faint(), nn.ReLU()), torch.full((1, 1), 1000.0))
        made = _pass(values, nodes[2], torch.zeros(1, 1, COUNT))
        made.lines = {nodes[2]: _unit_lines(values, nodes[2])}
        bound = made.run(nodes[2]).owed
    assert COUNT * Fraction(NEAR) / 2 * 1000 <= exact(bound).item()


# the ends of passes


def rows_over_boxes(about):
    """Rows times middle and half of a box are added up in order, over inputs between 0 and 1."""
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, COUNT), "linf(eps=1.0, bounds=(0, 1))", about=about)
    rows = -2 * losing(1, 1, COUNT)
    with summed_in_order():
        ends = pass_ends._over(values, nodes[0], DenseRows(rows))
    assert exact(ends.low).item() - exact(ends.error).item() <= exact(rows).sum()


def rows_over_boxes_underflow():
    """Products of rows with middle and half are flushed."""
    values, nodes = values_of(nn.Sequential(nn.ReLU()), torch.zeros(1, COUNT))
    # this large box keeps the half width out of the flushed numbers
    values.boxes[nodes[0]] = (torch.zeros(1, COUNT), torch.full((1, COUNT), 1024 * NEAR))
    with flushing(), summed_in_order():
        ends = pass_ends._over(values, nodes[0], DenseRows(-ones(1, 1, COUNT) / 1024))
    assert exact(ends.low).item() - exact(ends.error).item() <= -COUNT * Fraction(NEAR)


def rows_over_other_sets():
    """Rows times x are added up in order, beside a set's support."""
    values, _ = values_of(nn.ReLU(), ones(1, COUNT), L2)
    with summed_in_order():
        ends = pass_ends._below(values, DenseRows(-losing(1, 1, COUNT)), False)
    assert exact(ends.low).item() - exact(ends.error).item() <= -exact(losing(COUNT)).sum()


def rows_over_other_sets_underflow():
    """Products of rows with x are flushed, beside a set's support."""
    with flushing(), summed_in_order():
        values, _ = values_of(nn.ReLU(), torch.full((1, COUNT), NEAR), L2)
        ends = pass_ends._below(values, DenseRows(-ones(1, 1, COUNT) / 2), False)
    assert exact(ends.low).item() - exact(ends.error).item() <= -COUNT * Fraction(NEAR) / 2


def ends_are_added(kind, doubled=False):
    """The part that a set takes off is lost beside the constant. The debt and the radius are taken off as well."""
    small = float(torch.tensor(0.99 * unit(F32)))
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, 1), f"l2(eps={small!r}, bounds=None)", about=True)
    made = _pass(values, nodes[0], ones(1, 1, 1), constant=-1.0, run=True)
    taken = 1 + Fraction(small)
    if kind != "set":
        setattr(made, kind, torch.full((1, 1), 0.25))
        taken += Fraction(1, 4)
    if doubled:
        made._double()
    low, high = (exact(side).item() for side in pass_ends.both(made))
    assert low <= -taken
    assert high >= -2 + taken


def lower_ends_are_added():
    """The part that a set takes off is lost beside the constant of a lower bound."""
    small = float(torch.tensor(0.99 * unit(F32)))
    values, nodes = values_of(nn.ReLU(), torch.zeros(1, 1), f"l2(eps={small!r}, bounds=None)", about=True)
    found = pass_ends.lower(_pass(values, nodes[0], ones(1, 1, 1), constant=-1.0))
    assert exact(found.value).item() - exact(found.error).item() <= -1 - Fraction(small)


def bounds_state_their_error():
    """A bound less its stated error is no higher than the sum that is added up in order."""
    model, x, threat = linear(losing(1, COUNT)), ones(1, COUNT), inradius.make(POINT, ThreatModel)
    prop, certifier = Property(-ones(1, 1, 1), torch.zeros(1, 1)), inradius.make("interval()", Certifier)
    with summed_in_order():
        found = certifier.lower_bound(model, x, threat, prop, ExampleRNG(0, torch.arange(1)))
    assert exact(found.value).item() - exact(found.error).item() <= -exact(losing(COUNT)).sum()
