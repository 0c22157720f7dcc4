"""Laws of the bounds that a mutation may break: no point that is found lies below a bound, or outside of a box."""

import itertools
import warnings
from functools import cache

import test_bounds_graphs
import test_bounds_projected
import test_capture_cases
import torch
from torch import nn

import inradius
import inradius_bounds.rows.units as units_module
from inradius import Certifier, Property, Streams, ThreatModel
from inradius.testing import check_layer_rule, rules
from inradius.testing.rules import operator
from inradius_bounds import projected
from inradius_bounds.layers import Reciprocal, SquareRoot
from inradius_bounds.network.values import Values
from inradius_bounds.passes.inner import relaxed
from inradius_bounds.passes.tightened import tightened
from inradius_bounds.relax import smallest_area
from inradius_bounds.rounding import Rounding
from inradius_bounds.trace import trace

F64 = torch.float64


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


# layers


def layer(build, shape):
    """The law kit's laws of one layer's rule."""
    with warnings.catch_warnings():
        # torch copies the input where it pads one side alone
        warnings.simplefilter("ignore", UserWarning)
        check_layer_rule(seeded(build), shape, examples=25)


def lines(build):
    """Lines and intervals of a curve in float32 and float64 hold in real arithmetic, at many points of many boxes."""
    for dtype in (torch.float32, F64):
        op = operator(seeded(build), (60,))
        op.module.to(dtype)
        generator = torch.Generator().manual_seed(0)
        scale = 10 ** (6 * torch.rand(40, 60, generator=generator, dtype=F64) - 4)
        shift = 0.25 if isinstance(op.module, Reciprocal | SquareRoot) else 0.0
        draw = torch.rand(2, 40, 60, generator=generator, dtype=F64)
        lower = draw[0] + shift if shift else scale * (draw[0] - 0.5)
        upper = lower + scale * draw[1]
        lower, upper = lower.to(dtype), upper.to(dtype)
        keep = (lower.abs() < 30) & (upper.abs() < 30)
        lower, upper = torch.where(keep, lower, shift + 0.5), torch.where(keep, upper, shift + 1.0)
        _hold(op, lower, upper, 1e-15 if dtype == torch.float32 else 2e-15)


def _hold(op, lower, upper, tol):
    relaxed, (low, high) = op.rule.relax(op, lower, upper), op.rule.interval(op, lower, upper)
    floor, ceiling = op.rule.lines(op, lower, upper)
    exact = type(op)(op.path, seeded(lambda: op.module).double(), op.rule, op.in_shape, op.out_shape)
    share = torch.cat([torch.linspace(0, 1, 41, dtype=F64), 10.0 ** -torch.arange(1, 9, dtype=F64)]).view(-1, 1, 1)
    z = lower.double() + share * (upper.double() - lower.double())
    value = exact(z.flatten(0, 1)).view(z.shape)
    slack = tol * (1 + value.abs())
    assert bool((low.double() <= value + slack).all()), "the interval's lower end"
    assert bool((high.double() >= value - slack).all()), "the interval's upper end"
    for slope, offset in [(relaxed.lower_slope, relaxed.lower_offset), *floor]:
        assert bool((slope.double() * z + offset.double() <= value + slack).all()), "a line below"
    for slope, offset in [(relaxed.upper_slope, relaxed.upper_offset), *ceiling]:
        assert bool((slope.double() * z + offset.double() >= value - slack).all()), "a line above"


# networks


def dense():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def smooth():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Sigmoid(), nn.Linear(5, 3))


def odd():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))


def deep():
    return nn.Sequential(*itertools.chain(*((nn.Linear(4, 4), nn.ReLU()) for _ in range(4))), nn.Linear(4, 3))


def straight():
    """Affine layers in a row, before, between and behind curves."""
    return nn.Sequential(
        nn.Linear(4, 5), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4),
        nn.Linear(4, 3),
    )  # fmt: skip


def images():
    """Convolutions whose windows reach over the border on either side, with biases."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 1, 1), nn.ReLU(), nn.Conv2d(2, 2, 3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 2, 1, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip


def smooth_images():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 1, 1), nn.Tanh(), nn.Conv2d(2, 2, 3, 1, 1), nn.BatchNorm2d(2), nn.Tanh(),
        nn.Conv2d(2, 1, 2, 1, 1), nn.Tanh(), nn.Flatten(), nn.Linear(49, 3),
    )  # fmt: skip


def in_a_row():
    """Two padded convolutions without an activation in between."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 1, 1), nn.ReLU(), nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 2, 2, 1, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(50, 3),
    )  # fmt: skip


class Residual(nn.Module):
    """Values that are used again: two branches of convolutions of different windows meet, and one of them scales its input."""

    def __init__(self, curve=nn.ReLU):
        super().__init__()
        self.first, self.wide, self.narrow = nn.Conv2d(1, 2, 3, 1, 1), nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 2, 1)
        self.norm, self.last, self.curve = nn.BatchNorm2d(2), nn.Linear(32, 3), curve()

    def forward(self, x):
        z = self.curve(self.first(x))
        y = self.curve(self.norm(self.wide(z)) - 0.5 * self.narrow(z) + 2 * z)
        return self.last((y + z * self.norm.running_var.view(2, 1, 1)).flatten(1))


def smooth_residual():
    return Residual(nn.Tanh)


class Joined(nn.Module):
    """Vectors that are moved, joined with others and with constants, and added up with factors, between curves."""

    def __init__(self, curve=nn.ReLU):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 3), nn.Linear(8, 4), nn.Linear(4, 3)
        self.curve = curve()
        self.register_buffer("fixed", torch.tensor([[0.7]]))

    def forward(self, x):
        z = self.curve(self.first(x))
        y = torch.cat([z, z.flip(1) - 3 * z + 0.2, self.fixed.to(x).expand(len(x), 1), x[:, :1]], 1)
        y = self.second(y) + 0.3
        return self.last(self.curve(y - 2 * x) + 0.5 * x)


def smooth_joined():
    return Joined(nn.Tanh)


SHAPES = {
    dense: (4,), smooth: (4,), odd: (4,), deep: (4,), straight: (4,), images: (1, 6, 6), smooth_images: (1, 6, 6),
    in_a_row: (1, 4, 4), Residual: (1, 4, 4), smooth_residual: (1, 4, 4), Joined: (4,), smooth_joined: (4,),
}  # fmt: skip


@cache
def question(build, seed, spec):
    """A network, inputs, a set, rows of either sign with offsets, and the least values that samples and descents find."""
    model = seeded(build, seed).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2).add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=F64))
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.copy_(torch.randn(norm.running_mean.shape, generator=generator, dtype=F64))
                norm.running_var.copy_(0.5 + torch.rand(norm.running_var.shape, generator=generator, dtype=F64))
    x = torch.rand(2, *SHAPES[build], generator=generator, dtype=F64)
    rows = torch.randn(2, 2, 3, generator=generator, dtype=F64)
    prop = Property(torch.cat([rows, -rows], dim=1), torch.randn(2, 4, generator=generator, dtype=F64))
    threat = inradius.make(spec, ThreatModel)
    return model, x, threat, prop, least(model, x, threat, prop)


def least(model, x, threat, prop):
    rng = Streams(0, torch.arange(len(x)))
    found = [row_values(model, x, prop, torch.zeros_like(x))]
    found += [row_values(model, x, prop, threat.sample(x, rng=rng)) for _ in range(8)]
    for row in range(prop.offsets.shape[1]):
        delta = torch.zeros_like(x)
        for _ in range(4):
            moving = delta.requires_grad_()
            row_values(model, x, prop, moving)[:, row].sum().backward()
            delta = threat.linear_max(-moving.grad, x).detach()
            found.append(row_values(model, x, prop, delta))
    return torch.stack(found).detach().amin(0)


def row_values(model, x, prop, delta):
    return (prop.weights @ model(x + delta)[..., None]).squeeze(2) + prop.offsets


SETS = ("linf(eps=0.01, bounds=None)", "l2(eps=0.2, bounds=None)")


def bounds(spec, *builds, sets=SETS, seeds=3):
    """No value that samples and descents find is below a bound."""
    certifier = inradius.make(spec, Certifier)
    for build, seed, around in itertools.product(builds, range(seeds), sets):
        model, x, threat, prop, lowest = question(build, seed, around)
        value = certifier.lower_bound(model, x, threat, prop, Streams(0, torch.arange(len(x)))).value
        # what is no number claims nothing
        assert not bool((value > lowest + 1e-9).any()), (spec, build.__name__, around, value, lowest)


# boxes


def node_values(network, x):
    """The value of each node at x."""
    found = {network.entry: x}
    for node in network.nodes[1:]:
        values = [found[source] for source in node.sources]
        found[node] = node.join(*values) if node.join is not None else node.operator(values[0])
    return found


@cache
def before_curves(build, seed, spec):
    """A network with inputs and a set, and the least and largest inputs of its curves that are found at extreme points."""
    model, x, threat, _, _ = question(build, seed, spec)
    network = trace(model, x).network
    deltas = [torch.zeros_like(x)]
    for node in sorted(network.bent, key=network.place.get):
        moving = torch.zeros_like(x).requires_grad_()
        values = node_values(network, x + moving)[node].flatten(1)
        for number in range(values.shape[1]):
            (way,) = torch.autograd.grad(values[:, number].sum(), moving, retain_graph=True)
            deltas += [threat.linear_max(sign * way, x) for sign in (1, -1)]
    with torch.no_grad():
        several = [node_values(network, x + delta) for delta in deltas]
        ends = {node: torch.stack([found[node] for found in several]) for node in network.bent}
    return network, x, threat, {node: (side.amin(0), side.amax(0)) for node, side in ends.items()}


def inner(boxes, *builds, sets=("linf(eps=0.1, bounds=None)", "l2(eps=0.3, bounds=None)"), seeds=3):
    """No input of a curve that an extreme point of the set gives is outside of its box."""
    for build, seed, spec in itertools.product(builds, range(seeds), sets):
        network, x, threat, found = before_curves(build, seed, spec)
        with torch.no_grad():
            for node, box in boxes(network, x, threat).items():
                low, high = found[node]
                slack = 1e-9 * (1 + low.abs() + high.abs())
                where = (build.__name__, spec, network.place[node])
                assert bool((box[0] <= low + slack).all()), (*where, "lower")
                assert bool((box[1] >= high - slack).all()), (*where, "upper")


def by_rows(relax, network, x, threat):
    """The boxes of backward passes alone."""
    values = Values(network, x, threat, Rounding(x.dtype))
    relaxed(values, intersect=False, relax=relax)
    return {node: values.box(node) for node in network.bent}


def by_ascent(network, x, threat):
    """The boxes over which alpha with all layers works."""
    values = Values(network, x, threat, None)
    relaxed(values, relax=smallest_area)
    found = tightened(values, 3).values
    return {node: found.box(node) for node in network.bent}


def likely(*builds, sets=("linf(eps=0.1, bounds=None)", "l2(eps=0.3, bounds=None)"), seeds=2):
    """The same of boxes that random projections give."""
    certifier = projected.Projected(projections=4000, failure=1e-6)
    for build, seed, spec in itertools.product(builds, range(seeds), sets):
        model, x, threat, _, _ = question(build, seed, spec)
        network, _, _, found = before_curves(build, seed, spec)
        with torch.no_grad():
            chain = trace(model, x)
            layers = certifier._layers(chain, x, threat, threat.sketch(x), Streams(0, torch.arange(len(x))))
        # a chain of plain layers has a box for each curve, in order
        for node, box in zip(sorted(network.bent, key=network.place.get), layers.bounds, strict=True):
            low, high = found[node]
            assert bool(((box[0] <= low + 1e-9) & (box[1] >= high - 1e-9)).all()), (build.__name__, spec)


# random projections


def rates():
    for order, failure in itertools.product((1.0, 2.0), (0.3, 0.05)):
        test_bounds_projected.test_a_bound_fails_no_more_often_than_it_says(order, failure)


def chernoff():
    for count, failure in itertools.product((3, 50, 1000), (0.1, 1e-6)):
        test_bounds_projected.test_the_slack_is_chernoffs(count, failure)


def cauchy():
    test_bounds_projected.test_the_tail_is_that_of_cauchy_numbers()


def chi_square():
    test_bounds_projected.test_normal_numbers_have_the_quantile_of_chi_square(10, 1e-3)


def shares(patches):
    with patches() as patch:
        test_bounds_projected.test_the_shares_of_all_estimates_make_the_failure(0.01, "linf(eps=0.02)", patch)


# steps

# operators in a place where they are no first and no last step of a block
PLACED = {
    "matmul": lambda m, x: torch.matmul(m.image, x.relu()).relu(),
    "right matmul": lambda m, x: (x.relu() @ m.image).relu(),
    "matmul of a stack": lambda m, x: torch.matmul(m.image * m.mean[:, None, None], x.relu()).relu(),
    "right matmul of a stack": lambda m, x: (x.relu() @ (m.image * m.mean[:, None, None])[:, :, :3]).relu(),
    "scaled": lambda m, x: (x.relu() * m.image - m.mean[:, None, None]).relu(),
    "windows": lambda m, x: nn.functional.avg_pool2d(x.relu(), 2, 1).relu(),
    "less": lambda m, x: (x[:, :1].relu() - 0.5 * x[:, 1:].tanh()).relu(),
    "twice": lambda m, x: torch.cat(
        [x.relu(), 2 * x.relu()[:, :1], x.relu()[:, :, :, :1].expand(-1, -1, -1, 4)], 1
    ).relu(),
    "constant between": lambda m, x: (lambda h: torch.cat([h, m.image.expand(len(h), 1, -1, -1), h], 1).relu())(
        x.relu()
    ),
    "constant beside": lambda m, x: torch.cat([x.relu(), m.image.expand(x.shape[0], 1, -1, -1)], 1).relu(),
}


def steps(name):
    """Every affine step that a graph is captured as keeps the laws of layer rules on random boxes."""
    function = PLACED.get(name) or test_bounds_graphs.OPERATORS[name]
    chain = trace(
        test_bounds_graphs.Lambda(function).double().eval(), seeded(lambda: torch.rand(1, 2, 4, 4, dtype=F64))
    )
    outer = [op for stage in chain.stages for op in stage.block.ops]
    for seed, op in enumerate(itertools.chain(outer, *map(_within, outer))):
        generator = torch.Generator().manual_seed(seed)
        center, radius = torch.randn(2, 2, *op.in_shape, generator=generator, dtype=F64)
        box = rules.Interval(center - radius.abs(), center + radius.abs(), seed, 1e-9)
        for law in _laws_of(op):
            law(op, box)


def _within(op):
    """The steps of a program that are operators."""
    return [step.operator for step in getattr(op.module, "steps", ()) if step.operator is not None]


def _laws_of(op):
    """The laws of layer rules; a program of several steps has sums of sums, whose terms are not those of one sum."""
    several = len(getattr(op.module, "steps", ())) > 0
    left_out = [] if op.rule.exact(op) else [rules.affine_intervals_are_exact]
    left_out += [rules.magnitude_is_a_bound] if several else []
    return [law for law in rules.LAWS if law not in left_out] + ([_magnitude_of_program] if several else [])


def _magnitude_of_program(op, box):
    matrix, offset = rules._matrix(op), op(torch.zeros(1, *op.in_shape, dtype=F64)).flatten(1)
    bound = torch.maximum(box.lower.abs(), box.upper.abs())
    size, least = op.rule.magnitude(op, bound).flatten(1), bound.flatten(1) @ matrix.abs().T + offset.abs()
    assert bool((size >= least * (1 - 1e-9)).all()), "magnitude ≥ |A| bound + |b|"


def single_rows(*builds, seeds=2):
    """Rows of single numbers, pulled to the input through affine steps, are rows of the same matrix in any form."""
    for build, seed in itertools.product(builds, range(seeds)):
        model, x, *_ = question(build, seed, SETS[0])
        network = trace(model, x).network
        for node in network.nodes[1:]:
            if node.curved:
                continue
            index = torch.arange(node.stored.numel()).flip(0)[:7].expand(2, -1)
            factor = torch.linspace(-1, 2, index.numel(), dtype=F64).view(index.shape)
            for rows in (units_module.Units(index, None, F64), units_module.Units(index, factor, F64)):
                found = [(source, rows_of.dense(source.stored).rows) for source, rows_of in rows.through(node)]
                other = rows.dense(node.stored).through(node)
                for (source, mine), (same, its) in zip(found, other, strict=True):
                    assert source is same
                    torch.testing.assert_close(mine, its.rows)


def batches(*names):
    """Functions of the batch are refused."""
    for name in names:
        test_capture_cases.test_functions_of_the_batch_are_refused(name, 2)
