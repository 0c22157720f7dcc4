"""Every sign and adjoint of the bounds is watched: with one of them changed, a law fails.

A new mutation is a line in ``MUTATIONS``. The mutations of rounding errors are in ``test_rounding_mutations``.
"""

import itertools
import warnings
from functools import cache, partial

import captured_functions
import graph_networks
import projection_laws
import pytest
import torch
from mutations import Mutation, laws_of, name_of
from torch import nn

import inradius
from inradius import ActivationRule, Certifier, ExampleRNG, Property, ThreatModel
from inradius.testing import check_layer_rule, rules
from inradius.testing.rules import operator
from inradius_bounds.backward import adam, curve_lines, inner_bounds, optimised_lines, pass_ends, tangent_lines
from inradius_bounds.backward.backward_pass import BackwardPass
from inradius_bounds.backward.rows import windows
from inradius_bounds.capture import captured
from inradius_bounds.capture.trace import trace
from inradius_bounds.certifiers import projected
from inradius_bounds.layout import affine_program
from inradius_bounds.layout.layer_bounds import level_boxes
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.projections import norm_estimates
from inradius_bounds.rules import batch_norm, convolution, linear
from inradius_bounds.rules.activations import exponential, piecewise, powers, relu, sampled, sigmoid
from inradius_bounds.rules.functions import ExpLayer, ReciprocalLayer, SquareLayer, SquareRootLayer
from inradius_bounds.rules.relax import relax_by_rule, smallest_area
from inradius_bounds.steps import convolution as any_convolution
from inradius_bounds.steps import join, move, product, scale, sums
from inradius_bounds.steps.weighted import WeightedRule

F64 = torch.float64


def seeded(build, seed=0):
    torch.manual_seed(seed)
    return build()


# the laws


def layer(build, shape):
    """The law kit's laws hold for one layer's rule."""
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
        shift = 0.25 if isinstance(op.module, ReciprocalLayer | SquareRootLayer) else 0.0
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


def dense():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def scaled_input():
    """Batch norm in front, whose constants are large."""
    norm = nn.BatchNorm1d(4)
    norm.running_mean.fill_(-0.5)
    return nn.Sequential(norm, nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def smooth():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Sigmoid(), nn.Linear(5, 3))


def deep():
    return nn.Sequential(*itertools.chain(*((nn.Linear(4, 4), nn.ReLU()) for _ in range(4))), nn.Linear(4, 3))


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


def clamped():
    return nn.Sequential(nn.Linear(4, 5), nn.Hardtanh(), nn.Linear(5, 5), nn.Hardtanh(), nn.Linear(5, 3))


def odd():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))


def in_a_row():
    """Two padded convolutions without an activation in between."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 1, 1), nn.ReLU(), nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 2, 2, 1, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(50, 3),
    )  # fmt: skip


SHAPES = {
    dense: (4,),
    scaled_input: (4,),
    smooth: (4,),
    odd: (4,),
    clamped: (4,),
    deep: (4,),
    images: (1, 6, 6),
    smooth_images: (1, 6, 6),
    in_a_row: (1, 4, 4),
}


@cache
def question(build, seed, spec):
    """A network, inputs, a set, rows of either sign with offsets, and the least values that samples and descents find."""
    model = seeded(build, seed).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2).add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=F64))
    x = torch.rand(2, *SHAPES[build], generator=generator, dtype=F64)
    rows = torch.randn(2, 2, 3, generator=generator, dtype=F64)
    prop = Property(torch.cat([rows, -rows], dim=1), torch.randn(2, 4, generator=generator, dtype=F64))
    threat = inradius.make(spec, ThreatModel)
    return model, x, threat, prop, least(model, x, threat, prop)


def least(model, x, threat, prop):
    rng = ExampleRNG(0, torch.arange(len(x)))
    found = [_values(model, x, prop, torch.zeros_like(x))]
    found += [_values(model, x, prop, threat.sample(x, rng=rng)) for _ in range(8)]
    for row in range(prop.offsets.shape[1]):
        delta = torch.zeros_like(x)
        for _ in range(4):
            moving = delta.requires_grad_()
            _values(model, x, prop, moving)[:, row].sum().backward()
            delta = threat.linear_max(-moving.grad, x).detach()
            found.append(_values(model, x, prop, delta))
    return torch.stack(found).detach().amin(0)


def _values(model, x, prop, delta):
    return (prop.weights @ model(x + delta)[..., None]).squeeze(2) + prop.offsets


def bounds(spec, *builds, sets=("linf(eps=0.01, bounds=None)", "l2(eps=0.2, bounds=None)"), seeds=3):
    """No value that samples and descents find is below a bound."""
    certifier = inradius.make(spec, Certifier)
    for build, seed, around in itertools.product(builds, range(seeds), sets):
        model, x, threat, prop, lowest = question(build, seed, around)
        value = certifier.lower_bound(model, x, threat, prop, ExampleRNG(0, torch.arange(len(x)))).value
        # a bound that is NaN claims nothing
        assert not bool((value > lowest + 1e-9).any()), (spec, build.__name__, around, value, lowest)


def proved(spec, *builds, sets=("linf(eps=0.01, bounds=None)", "l2(eps=0.2, bounds=None)"), seeds=3):
    """No value that samples and descents find is below a bound of a certificate, which counts values from those at the inputs."""
    certifier = inradius.make(spec, Certifier)
    for build, seed, around in itertools.product(builds, range(seeds), sets):
        model, x, threat, prop, lowest = question(build, seed, around)
        proof = certifier(model, x, None, threat, prop=prop)
        assert not bool((proof.lower - proof.error > lowest + 1e-9).any()), (
            spec,
            build.__name__,
            around,
            proof,
            lowest,
        )


@cache
def before_activations(build, seed, spec):
    """A network's chain, inputs, a set, and the least and largest inputs of its non-linear layers that were found."""
    model, x, threat, _, _ = question(build, seed, spec)
    chain = trace(model, x)
    deltas = [torch.zeros_like(x)]
    for depth in range(len(chain.hidden)):
        moving = torch.zeros_like(x).requires_grad_()
        values = _inputs(chain, x + moving)[depth].flatten(1)
        for unit in range(values.shape[1]):
            (way,) = torch.autograd.grad(values[:, unit].sum(), moving, retain_graph=True)
            deltas += [threat.linear_max(sign * way, x) for sign in (1, -1)]
    with torch.no_grad():
        found = [_inputs(chain, x + delta) for delta in deltas]
    return (
        chain,
        x,
        threat,
        [(torch.stack(each).amin(0), torch.stack(each).amax(0)) for each in zip(*found, strict=True)],
    )


def _inputs(chain, z):
    found = []
    for block, activation in chain.hidden:
        found.append(block(z))
        z = activation(found[-1])
    return found


def inner(boxes, *builds, sets=("linf(eps=0.1, bounds=None)", "l2(eps=0.3, bounds=None)"), seeds=3):
    """No input of a non-linear layer at an extreme point of the set is outside of the layer's box."""
    for build, seed, spec in itertools.product(builds, range(seeds), sets):
        chain, x, threat, found = before_activations(build, seed, spec)
        with torch.no_grad():
            for depth, (box, (low, high)) in enumerate(zip(boxes(chain, x, threat), found, strict=True)):
                slack = 1e-9 * (1 + low.abs() + high.abs())
                assert bool((box[0] <= low + slack).all()), (build.__name__, spec, depth, "lower")
                assert bool((box[1] >= high - slack).all()), (build.__name__, spec, depth, "upper")


def by_rows(relax, chain, x, threat):
    known = ValueBounds(chain.network, x, threat, None)
    inner_bounds.relax_curves(known, intersect=False, relax=relax)
    return level_boxes(chain, known)


def by_projections(chain, x, threat):
    certifier = projected.Projected(projections=4000, failure=1e-6)
    return certifier._layers(chain, x, threat, threat.sketch(x), ExampleRNG(0, torch.arange(len(x)))).bounds


def rates():
    for order, failure in itertools.product((1.0, 2.0), (0.3, 0.05)):
        projection_laws.a_bound_fails_no_more_often_than_it_says(order, failure)


def chernoff():
    for count, failure in itertools.product((3, 50, 1000), (0.1, 1e-6)):
        projection_laws.the_slack_is_chernoffs(count, failure)


def cauchy():
    projection_laws.the_tail_is_that_of_cauchy_numbers()


def chi_square():
    projection_laws.normal_numbers_have_the_quantile_of_chi_square(10, 1e-3)


def shares():
    with pytest.MonkeyPatch.context() as patch:
        projection_laws.the_shares_of_all_estimates_make_the_failure(0.01, "linf(eps=0.02)", patch)


# operators that are neither the first nor the last step of a block
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
    function = PLACED.get(name) or graph_networks.OPERATORS[name]
    chain = trace(graph_networks.Lambda(function).double().eval(), seeded(lambda: torch.rand(1, 2, 4, 4, dtype=F64)))
    outer = [op for layer in chain.layers for op in layer.block.ops]
    for seed, op in enumerate(itertools.chain(outer, *map(_within, outer))):
        generator = torch.Generator().manual_seed(seed)
        center, radius = torch.randn(2, 2, *op.in_shape, generator=generator, dtype=F64)
        box = rules.BoxCase(center - radius.abs(), center + radius.abs(), seed, 1e-9)
        for law in _laws_of(op):
            law(op, box)


def _within(op):
    """The steps of a program that are operators."""
    return [step.operator for step in getattr(op.module, "steps", ()) if step.operator is not None]


def _laws_of(op):
    """The laws of layer rules. A program of several steps has sums of sums, whose terms are not those of one sum."""
    several = len(getattr(op.module, "steps", ())) > 0
    left_out = [] if op.rule.exact(op) else [rules.affine_intervals_are_exact]
    left_out += [rules.magnitude_is_a_bound] if several else []
    return [law for law in rules.LAWS if law not in left_out] + ([_magnitude_of_program] if several else [])


def _magnitude_of_program(op, box):
    matrix, offset = rules._matrix(op), op(torch.zeros(1, *op.in_shape, dtype=F64)).flatten(1)
    bound = torch.maximum(box.lower.abs(), box.upper.abs())
    size, least = op.rule.magnitude(op, bound).flatten(1), bound.flatten(1) @ matrix.abs().T + offset.abs()
    assert bool((size >= least * (1 - 1e-9)).all()), "magnitude ≥ |A| bound + |b|"


def batches(*names):
    """Functions of the batch are refused."""
    for name in names:
        captured_functions.functions_of_the_batch_are_refused(name, 2)


# the mutations


def falling():
    """Batch norm with factors of either sign."""
    found = nn.BatchNorm2d(2)
    with torch.no_grad():
        found.weight.copy_(torch.tensor([-1.5, 0.5]))
        found.bias.normal_()
        found.running_var.copy_(torch.tensor([0.01, 2.0]))
    return found


RELU = partial(layer, nn.ReLU, (3,))
LINEAR = partial(layer, lambda: nn.Linear(4, 3), (4,))
CONVOLUTION = partial(layer, lambda: nn.Conv2d(2, 4, (2, 3), (1, 2), (1, 0), (1, 2), groups=2), (2, 4, 6))
PLAIN_CONVOLUTION = partial(layer, lambda: nn.Conv2d(1, 2, 3, 2, 1), (1, 5, 4))
SAME = partial(layer, lambda: nn.Conv2d(1, 1, (2, 2), padding="same"), (1, 3, 3))
BATCH_NORM = partial(layer, falling, (2, 2, 2))
ALPHA = "alpha(steps=5, keep_maximising=True)"
# the backward pass alone, because interval bounds would hide a pass whose bounds are too loose
DUAL, CROWN = "dual(intersect=False)", "crown(intersect=False, best=False)"
PASS = partial(bounds, DUAL, dense, deep)
PROVED = partial(proved, "dual()", dense, deep)
SLANTED = partial(bounds, CROWN, dense, smooth)
ROWS = partial(inner, partial(by_rows, relax_by_rule), dense, deep)
SLANTED_ROWS = partial(inner, partial(by_rows, smallest_area), dense, smooth)
WINDOWS = partial(inner, partial(by_rows, relax_by_rule), images, smooth_images, seeds=2)
IN_A_ROW = partial(inner, partial(by_rows, relax_by_rule), in_a_row)
SLANTED_WINDOWS = partial(inner, partial(by_rows, smallest_area), images, smooth_images, seeds=2)
ASCENT = partial(bounds, ALPHA, dense, smooth, odd, clamped)
ALL_LAYERS = partial(bounds, "alpha(steps=4, layers='all', keep_maximising=True)", dense, deep)
LIKELY_BOXES = partial(inner, by_projections, dense, deep, seeds=2)

RULES = [
    Mutation(relu.ReLURule, "with_slope", "least * (1 + 4", "-least * (1 + 4", RELU),
    Mutation(relu.ReLURule, "with_slope", "least * (1 + 4", "0.9 * least * (1 + 4", RELU),
    Mutation(relu.ReLURule, "with_slope", "lower_offset=torch.zeros_like(offset)", "lower_offset=offset", RELU),
    Mutation(relu.ReLURule, "interval", "upper.relu()", "0.9 * upper.relu()", RELU),
    Mutation(relu.ReLURule, "undecided", "(lower >= 0) | (upper <= 0)", "(lower >= 0) | (upper >= 0)", RELU),
    Mutation(relu.ReLURule, "lines", "torch.ones_like(lower)", "1.1 * torch.ones_like(lower)", RELU),
    Mutation(linear.LinearRule, "spread", "weight_size(op.module)", "op.module.weight", LINEAR),
    Mutation(WeightedRule, "interval", "middle - spread", "middle + spread", LINEAR),
    Mutation(linear.LinearRule, "adjoint", "rows @", "-rows @", LINEAR),
    Mutation(linear.LinearRule, "unit_rows", "weight[index]", "weight[index] * 2", LINEAR),
    Mutation(WeightedRule, "magnitude", "size.abs()", "size", LINEAR),
    Mutation(linear.LinearRule, "terms", "int(op.module.in_features)", "1", LINEAR),
    Mutation(convolution.ConvolutionRule, "spread", "weight_size(conv)", "conv.weight", CONVOLUTION),
    Mutation(convolution.ConvolutionRule, "adjoint", "top : top +", "top + 1 : top + 1 +", SAME),
    Mutation(convolution.ConvolutionRule, "adjoint", "(top, left), spare)", "(top, left), (0, 0))", PLAIN_CONVOLUTION),
    Mutation(convolution.ConvolutionRule, "adjoint", "(top, left), spare)", "(top + 1, left), spare)", CONVOLUTION),
    Mutation(convolution, "_transposed", "conv.groups, conv.dilation)", "conv.groups)", CONVOLUTION),
    Mutation(convolution, "_folded", "conv.kernel_size, conv.dilation, tuple", "conv.kernel_size, 1, tuple", partial(
        layer, lambda: nn.Conv2d(1, 2, 2, 2, 1, 2), (1, 5, 5))),
    Mutation(convolution, "_transposed", "conv.weight, None", "conv.weight.flip(2), None", CONVOLUTION),
    Mutation(convolution.ConvolutionRule, "local_rows", "torch.int64) - 1", "torch.int64) - 2", PLAIN_CONVOLUTION),
    Mutation(convolution.ConvolutionRule, "terms", "weight[0].numel()", "weight[0, 0, 0].numel()", PLAIN_CONVOLUTION),
    Mutation(convolution, "pads", "total[0] - total[0] // 2", "total[0] // 2", partial(
        layer, lambda: nn.Conv2d(1, 1, (2, 2), padding="same"), (1, 3, 3))),
    Mutation(batch_norm.BatchNormRule, "interval", "_scale(op) >= 0", "_scale(op) == _scale(op)", BATCH_NORM),
    Mutation(batch_norm, "_scale", " + norm.eps", "", partial(layer, lambda: nn.BatchNorm2d(2, eps=0.5), (2, 2, 2))),
    Mutation(batch_norm, "_scale", "scale * norm.weight", "scale * norm.weight.abs()", BATCH_NORM),
]  # fmt: skip

CURVES = [
    Mutation(ActivationRule, "_extremes", "low - slack - gap, high + slack + gap", "low - gap, high + gap",
        partial(lines, nn.Sigmoid)),
    Mutation(ActivationRule, "_extremes", "(lower, upper, *inside)", "(lower, upper)", partial(lines, nn.Tanh)),
    Mutation(ActivationRule, "_extremes", "(lower, upper, *inside)", "(lower, *inside)", partial(lines, nn.ELU)),
    Mutation(ActivationRule, "_extremes", "low - slack - gap", "low - slack", partial(lines, lambda: nn.Softplus(3, 5))),
    Mutation(ActivationRule, "with_slope", "lower_offset=low", "lower_offset=high", partial(lines, nn.Sigmoid)),
    Mutation(piecewise.PiecewiseRule, "turns", "self.kinks(op)", "self.kinks(op)[:0]", partial(lines, nn.LeakyReLU)),
    Mutation(piecewise.PiecewiseRule, "turns", "self.kinks(op)", "self.kinks(op)[:1]",
        partial(lines, lambda: nn.Hardtanh(-1, 0.5))),
    Mutation(exponential.ELURule, "turns", "slope / op.module.alpha", "slope", partial(lines, lambda: nn.ELU(2.5))),
    Mutation(exponential.CELURule, "turns", "op.module.alpha * log(slope)", "log(slope)", partial(lines, lambda: nn.CELU(0.4))),
    Mutation(sigmoid.SigmoidRule, "turns", "[place, -place]", "[place]", partial(lines, nn.Sigmoid)),
    Mutation(sigmoid.SigmoidRule, "turns", "[place, -place]", "[-place]", partial(lines, nn.Sigmoid)),
    Mutation(sigmoid.TanhRule, "turns", "/ 2\n", "\n", partial(lines, nn.Tanh)),
    Mutation(sigmoid.SoftplusRule, "turns", "inner / (1 - inner)) / op.module.beta", "inner / (1 - inner))", partial(
        lines, lambda: nn.Softplus(3, 50))),
    Mutation(sampled.SampledRule, "_extremes", "low - slack - missed, high + slack + missed", "low - slack, high + slack", partial(
        lines, nn.GELU)),
    Mutation(sampled.SampledRule, "_extremes", "low - slack - missed, high + slack + missed", "low - slack, high + slack", partial(
        lines, nn.SiLU)),
    Mutation(sampled.SampledRule, "_within", "- self.below", "- 0.1", partial(lines, nn.SiLU)),
    Mutation(exponential.ExpRule, "turns", "log(slope)", "log(slope) * 0.9", partial(lines, ExpLayer)),
    Mutation(powers.SquareRule, "turns", "slope / 2", "slope", partial(lines, SquareLayer)),
    Mutation(powers.ReciprocalRule, "turns", ".rsqrt()", "", partial(lines, ReciprocalLayer)),
    Mutation(powers.SquareRootRule, "turns", "(0.5 /", "(0.9 /", partial(lines, SquareRootLayer)),
]  # fmt: skip

PASSES = [
    Mutation(curve_lines, "_dense", "constant - radius, None", "constant + radius, None", SLANTED),
    Mutation(curve_lines, "_dense", "constant - radius, None", "constant, None", SLANTED),
    Mutation(curve_lines, "_dense", "dot(size, lines.band)", "dot(rows, lines.band)", PASS),
    Mutation(curve_lines, "_dense", "dot(size, lines.band)", "dot(size, lines.band / 2)", PASS),
    Mutation(curve_lines, "_dense", "dot(rows, lines.offset)", "0 * dot(rows, lines.offset)", PASS),
    Mutation(curve_lines, "_dense", "value=-1", "value=1", SLANTED),
    Mutation(curve_lines, "moved", "offset + slope * constant", "offset", PASS),
    Mutation(curve_lines, "moved", "rise + offset - behind", "offset - behind", PROVED),
    Mutation(curve_lines, "moved", "rise + offset - behind", "rise + offset", PROVED),
    Mutation(BackwardPass, "_begin", "self._count_from(self.values.about.value(start), self.pending[start])", "pass", PROVED),
    Mutation(ValueBounds, "around", "torch.sub(low - center, size, alpha=u), torch.add(high - center, size, alpha=u)",
        "low, high", PROVED),
    Mutation(curve_lines.CurveLines, "of", "(relaxed.upper_slope - slope) / 2", "0 * slope", SLANTED),
    Mutation(BackwardPass, "_through_curve", "self.radius + found.radius", "found.radius", ROWS),
    Mutation(BackwardPass, "_through_curve", "self._shift(found.constant)", "self._shift(0 * found.constant)", PASS),
    Mutation(BackwardPass, "_pay", "self._shift(function.over(constant))", "pass", PASS),
    Mutation(ValueBounds, "constant", "self.network.place[node] <= self.network.place[self.end]", "node is self.network.entry",
        partial(bounds, DUAL, scaled_input)),
    Mutation(BackwardPass, "_double", "-self.constant", "self.constant", SLANTED_ROWS),
    Mutation(pass_ends, "_over", "center - around, center + around, None", "center + around, center, None", PASS),
    Mutation(pass_ends, "_over", "center - around, center + around, gamma", "center + around, center, gamma", PROVED),
    Mutation(pass_ends, "_over", "around = sizes.over(half)", "around = function.over(half)", PASS),
    Mutation(pass_ends, "_over", "around = sizes.over(half)", "around = 0.9 * sizes.over(half)",
        partial(bounds, "dual()", dense, deep, seeds=1)),
    Mutation(pass_ends, "_sides", "(low + high) / 2", "low", partial(bounds, "interval()", dense)),
    Mutation(pass_ends, "_below", "support(-rows, values.x)", "0.9 * support(-rows, values.x)",
        partial(bounds, "dual()", dense, deep, seeds=1)),
    Mutation(pass_ends, "_below", "support(-rows, values.x)", "support(0 * rows, values.x)", PASS),
    Mutation(pass_ends, "_below", "dot(rows, values.x) - around", "-around", PASS),
    Mutation(pass_ends, "_below", "least = -around", "least = around", PROVED),
    Mutation(pass_ends, "_spanned", "low + center, high + center", "low, high", ROWS),
    Mutation(pass_ends, "both", "center - room + low", "center + low", ROWS),
    Mutation(pass_ends, "both", "center + room + high", "center + high", ROWS),
    Mutation(pass_ends, "both", "return least, -negated", "return -negated, least", SLANTED_ROWS),
]  # fmt: skip

WINDOWED = [
    Mutation(windows.Geometry, "pulled", "self.pad[0] * stride[0] + pad[0]", "pad[0]", WINDOWS),
    Mutation(windows.Geometry, "pulled", "self.stride[0] * stride[0]", "self.stride[0]", WINDOWS),
    Mutation(curve_lines, "_windows", "total(size * band)", "total(0 * band)", WINDOWS),
    Mutation(curve_lines, "_windows", "rows * slope, rows * offset", "rows * slope, 0 * rows", WINDOWS),
    Mutation(curve_lines, "_windows", "offset.addcmul_(size, band, value=-1)", "offset.addcmul_(size, band)", SLANTED_WINDOWS),
    Mutation(curve_lines, "_windows", "size, function.seen(lines.turn), value=-1", "size, function.seen(lines.turn), value=1",
        SLANTED_WINDOWS),
    Mutation(windows.WindowRows, "through", "self.cleaned(op.out_shape)", "self", IN_A_ROW),
]  # fmt: skip

ASCENTS = [
    Mutation(optimised_lines.OptimisedLines, "relaxed_rows", "negative * above[0]", "negative * slope", ASCENT),
    Mutation(optimised_lines.OptimisedLines, "relaxed_rows", " + negative * above[1]", "", ASCENT),
    Mutation(optimised_lines.OptimisedLines, "relaxed_rows", "positive * offset", "0 * positive", ASCENT),
    Mutation(tangent_lines.TangentLines, "relaxed_rows", "(rows >= 0, below, above)", "(rows >= 0, above, below)", ASCENT),
    Mutation(tangent_lines.TangentRange, "offsets", "slope * self.before - self.behind", "0 * slope", ASCENT),
    Mutation(adam.AdamState, "move", ".clamp_(0, 1)", ".clamp_(0, 3)", ASCENT),
]  # fmt: skip

LIKELY = [
    Mutation(norm_estimates, "norms", "mean + slack(count, failure)", "mean", rates),
    Mutation(norm_estimates, "norms", "math.sqrt(\n            _chi_square(count, failure)\n        )", "math.sqrt(count)", rates),
    Mutation(norm_estimates, "_rate", "- 0.5 *", "- 0.4 *", chernoff),
    Mutation(norm_estimates, "_rate", "- 0.5 *", "- 0.6 *", chernoff),
    Mutation(norm_estimates, "slack", "-math.log(failure) / count", "-math.log(failure) / count / 2", chernoff),
    Mutation(norm_estimates, "_chi_square", "chi2.ppf(failure, count)", "chi2.ppf(2 * failure, count)", chi_square),
    Mutation(norm_estimates, "draws", "math.pi * (uniform - 0.5)", "3 * (uniform - 0.5)", cauchy),
    Mutation(projected.Projected, "_layers", "self.failure / max(1, _estimates(chain))", "self.failure", shares),
    Mutation(projected, "_estimates", "(depth + 1) * ", "", shares),
    Mutation(projected.Projected, "_interval", "radius + norms(", "norms(", LIKELY_BOXES),
    Mutation(projected.Projected, "_interval", "sources += [(", "[(", LIKELY_BOXES),
    Mutation(projected, "_forward", "vectors + relaxed.band[0][:, None]", "vectors", LIKELY_BOXES),
]  # fmt: skip

STEPS = [
    Mutation(product.ProductRule, "interval", "matrix.value.abs()", "matrix.value", partial(steps, "matmul of a stack")),
    Mutation(product.ProductRule, "interval", "middle - spread", "middle + spread", partial(steps, "right matmul of a stack")),
    Mutation(product.ProductRule, "terms", "-1 if op.module.left else -2", "-1 if op.module.left else -1", partial(
        steps, "right matmul of a stack")),
    Mutation(product.Product, "pulled", ".transpose(-1, -2)", "", partial(steps, "matmul of a stack")),
    Mutation(scale.ScaleRule, "interval", "factor.value >= 0", "factor.value == op.module.factor.value", partial(steps, "scaled")),
    Mutation(scale.ScaleRule, "adjoint", "rows * factor.value", "rows", partial(steps, "scaled")),
    Mutation(sums.Sum, "pulled", "rows * self.factor", "rows", partial(steps, "mean")),
    Mutation(sums.Sum, "terms", "torch.Size([self.in_shape[axis] for axis in self.axes]).numel()", "1", partial(steps, "sum")),
    Mutation(sums.Means, "pulled", "self.back(images, like)", "2 * self.back(images, like)", partial(steps, "windows")),
    Mutation(join.Added, "interval", "(box[1], box[0])", "box", partial(steps, "less")),
    Mutation(join.Added, "magnitude", "map(abs, self.factors)", "self.factors", partial(steps, "less")),
    Mutation(join.Added, "adjoint", "self._times(factor, rows)", "rows", partial(steps, "less")),
    Mutation(join.Gathered, "adjoint", "index_add", "index_copy", partial(steps, "constant between")),
    Mutation(join.Gathered, "magnitude", ".abs()", "", partial(steps, "constant beside")),
    Mutation(move.Move, "adjoint", "index_add", "index_copy", partial(steps, "expand")),
    Mutation(any_convolution.AnyConvolutionRule, "spread", ".weight_size", ".weight", partial(steps, "conv1d")),
    Mutation(any_convolution.AnyConvolutionRule, "adjoint", "step.pulled(images)", "-step.pulled(images)", partial(
        steps, "conv_transpose2d")),
    Mutation(any_convolution.AnyConvolutionRule, "terms", "sizes[0]", "sizes[0] // 2", partial(steps, "conv1d")),
    Mutation(affine_program.AffineProgram, "adjoint", "reversed(self.steps)", "reversed(self.steps[1:])", partial(steps, "less")),
    Mutation(affine_program, "_collect", "found[node] + rows if node in found else rows", "rows", partial(steps, "twice")),
    Mutation(affine_program.AffineProgram, "magnitude", "step.magnitude(", "step.value(", partial(steps, "less")),
    Mutation(captured, "_check_batch", "if found.questions", "if False", partial(batches, "eq 64")),
]  # fmt: skip

MUTATIONS = [*RULES, *CURVES, *PASSES, *WINDOWED, *ASCENTS, *LIKELY, *STEPS]


@pytest.mark.parametrize("law", laws_of(MUTATIONS), ids=name_of)
def test_the_law_holds(law):
    law()


@pytest.mark.parametrize("name", [*graph_networks.OPERATORS, *PLACED])
def test_captured_steps_keep_the_laws(name):
    steps(name)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_law_fails_when_it_must(mutation, monkeypatch):
    mutation.fails(monkeypatch)
