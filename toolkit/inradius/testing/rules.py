"""Laws of layer rules, one function each; ``LAWS`` lists them all."""

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor

from inradius.certifiers.layer_rule import Operator
from inradius.errors import UnsupportedError
from inradius.rng import ExampleRNG
from inradius.testing.claims import close, require
from inradius.testing.strategies import Shape, directions, inputs


@attrs.frozen(eq=False)
class BoxCase:
    """A case for a law of layer rules: a box [lower, upper] of the layer's inputs, two of (B, *in), a seed and a tolerance."""

    lower: Tensor
    upper: Tensor
    seed: int
    tol: float

    def inside(self) -> list[Tensor]:
        """Points of the box: its ends, its middle, corners and random points."""
        rng = ExampleRNG(self.seed, torch.arange(len(self.lower)))
        shape, width = tuple(self.lower.shape[1:]), self.upper - self.lower
        shares = [rng.uniform(shape), rng.uniform(shape).round(), rng.uniform(shape).round(), rng.uniform(shape)]
        drawn = [torch.minimum(self.lower + share * width, self.upper) for share in shares]
        return [self.lower, self.upper, self.lower + width / 2, *drawn]


def intervals(
    shape: Shape, *, within: tuple[float, float] | None = None, tolerance: float = 1e-9
) -> st.SearchStrategy[BoxCase]:
    """Boxes around, above, below and next to zero, the parts of them that are ``within`` two ends; some of them are points."""
    shares = directions(shape, count=1).map(lambda c: c[:, 0].clamp(-1, 1))

    def build(middle: Tensor, radius: Tensor, scale: float, side: int, seed: int) -> BoxCase:
        # side ±1 puts zero at an end of a box around zero
        center = scale * middle + side * radius
        lower, upper = center - radius, center + radius
        if within is not None:
            lower, upper = lower.clamp(*within), upper.clamp(*within)
        return BoxCase(lower, upper, seed, tolerance)

    sides, seed = st.sampled_from([0, 1, -1]), st.integers(0, 2**31)
    return st.builds(build, shares, inputs(shape), st.sampled_from([0.0, 0.5, 1e3]), sides, seed)


def interval_contains_values(op: Operator, case: BoxCase) -> None:
    """The layer's value at every point of a box lies between the interval bounds."""
    lower, upper = op.rule.interval(op, case.lower, case.upper)
    for z in case.inside():
        value = op(z)
        slack = case.tol * _size(op, z)
        require(value >= lower - slack, "no value is below the interval", value=value, lower=lower)
        require(value <= upper + slack, "no value is above the interval", value=value, upper=upper)


def relaxation_is_below_and_above(op: Operator, case: BoxCase) -> None:
    """For a non-linear layer, lower_slope · z + lower_offset ≤ op(z) ≤ upper_slope · z + upper_offset on the box."""
    if op.rule.affine:
        return
    relaxed = op.rule.relax(op, case.lower, case.upper)
    below, above = op.rule.lines(op, case.lower, case.upper)
    for z in case.inside():
        for slope, offset in [(relaxed.lower_slope, relaxed.lower_offset), *below]:
            slack = case.tol * (1 + (slope * z).abs() + offset.abs())
            require(slope * z + offset <= op(z) + slack, "the lower line is below", z=z, slope=slope, offset=offset)
        for slope, offset in [(relaxed.upper_slope, relaxed.upper_offset), *above]:
            slack = case.tol * (1 + (slope * z).abs() + offset.abs())
            require(slope * z + offset >= op(z) - slack, "the upper line is above", z=z, slope=slope, offset=offset)


def decided_inputs_are_linear(op: Operator, case: BoxCase) -> None:
    """The lower and the upper line of a non-linear layer agree on the box for each input that the layer calls decided."""
    if op.rule.affine:
        return
    decided = ~op.rule.undecided(op, case.lower, case.upper)
    relaxed = op.rule.relax(op, case.lower, case.upper)
    for z in (case.lower, case.upper):
        low = relaxed.lower_slope * z + relaxed.lower_offset
        high = relaxed.upper_slope * z + relaxed.upper_offset
        require(
            ~decided | close(low, high, case.tol * (1 + z.abs())), "a decided input has one line", low=low, high=high
        )


def adjoint_is_the_adjoint(op: Operator, case: BoxCase) -> None:
    """For an affine layer z -> A z + b, ⟨A z, r⟩ = ⟨z, Aᵀ r⟩ for every z and r."""
    if not op.rule.affine:
        return
    rng = ExampleRNG(case.seed, torch.arange(len(case.lower)))
    rows = rng.normal((3, *op.out_shape))
    pulled = op.rule.adjoint(op, rows)
    assert pulled.shape == (len(rows), 3, *op.in_shape), f"adjoint answers with the shape {tuple(pulled.shape)}"
    for z in case.inside():
        image = op(z) - op(torch.zeros_like(z))
        forth = (image[:, None] * rows).flatten(2).sum(2)
        back = (z[:, None] * pulled).flatten(2)
        slack = case.tol * (1 + back.abs().sum(2) + (_size(op, z)[:, None] * rows.abs()).flatten(2).sum(2))
        require(close(forth, back.sum(2), slack), "⟨A z, r⟩ = ⟨z, Aᵀ r⟩", forth=forth, back=back.sum(2))


def unit_rows_are_rows(op: Operator, case: BoxCase) -> None:
    """For an affine layer, unit_rows is the adjoint of unit vectors, and local_rows, where it is given, states the same rows."""
    if not op.rule.affine:
        return
    matrix = _matrix(op)
    index = torch.arange(op.out_shape.numel()).flip(0)[:5].expand(2, -1)
    rows = op.rule.unit_rows(op, index, torch.float64).flatten(2)
    require(close(rows, matrix[index], case.tol * matrix.abs().amax()), "unit_rows are rows of the matrix", rows=rows)
    local = op.rule.local_rows(op)
    if local is not None:
        places, weights = local
        spread = torch.zeros(len(places), matrix.shape[1] + 1, dtype=torch.float64)
        # the padding, −1, has a column of its own
        spread.scatter_add_(1, torch.where(places < 0, matrix.shape[1], places), weights.double())
        require(
            close(spread[:, :-1], matrix, case.tol * matrix.abs().amax()), "local_rows spell the matrix", rows=spread
        )


def affine_intervals_are_exact(op: Operator, case: BoxCase) -> None:
    """The interval of one affine layer is the exact range: |A| times the box's radius around the value at its middle."""
    if not op.rule.affine:
        return
    matrix = _matrix(op)
    radius = ((case.upper - case.lower) / 2).flatten(1) @ matrix.abs().T
    middle = op((case.lower + case.upper) / 2).flatten(1)
    lower, upper = (side.flatten(1) for side in op.rule.interval(op, case.lower, case.upper))
    slack = case.tol * (1 + _size(op, torch.maximum(case.lower.abs(), case.upper.abs())).flatten(1))
    require(close(lower, middle - radius, slack), "the lower end is attained", lower=lower, attained=middle - radius)
    require(close(upper, middle + radius, slack), "the upper end is attained", upper=upper, attained=middle + radius)


def magnitude_is_a_bound(op: Operator, case: BoxCase) -> None:
    """For an affine layer, magnitude ≥ |A| bound + |b|; terms and fan are at least the entries of a row and a column of A."""
    if not op.rule.affine:
        return
    bound = torch.maximum(case.lower.abs(), case.upper.abs())
    matrix, offset = _matrix(op), op(torch.zeros(1, *op.in_shape, dtype=torch.float64)).flatten(1)
    size = op.rule.magnitude(op, bound).flatten(1)
    least = bound.flatten(1) @ matrix.abs().T + offset.abs()
    require(size >= least * (1 - case.tol) - case.tol, "magnitude ≥ |A| bound + |b|", magnitude=size, least=least)
    products = int((matrix != 0).sum(1).max())
    assert op.rule.terms(op) >= products, f"an output adds up {products} products, but terms says {op.rule.terms(op)}"
    rows = int((matrix != 0).sum(0).max())
    assert op.rule.fan(op) >= rows, f"an input's row adds up {rows} products, but fan says {op.rule.fan(op)}"


def stretch_is_a_bound(op: Operator, case: BoxCase) -> None:
    """For an affine layer, stretch is at least |A| bound, without the constants."""
    if not op.rule.affine:
        return
    bound = torch.maximum(case.lower.abs(), case.upper.abs())
    size, least = op.rule.stretch(op, bound).flatten(1), bound.flatten(1) @ _matrix(op).abs().T
    require(size >= least * (1 - case.tol), "stretch ≥ |A| bound", stretch=size, least=least)


def sums_over_some_are_counted(op: Operator, case: BoxCase) -> None:
    """For an affine layer, terms_of and fan_of are at least the entries of A at the non-zero inputs and outputs."""
    if not op.rule.affine:
        return
    entries = (_matrix(op) != 0).double()
    inputs = case.lower > case.lower.flatten(1).median(1).values.view(-1, *(1,) * len(op.in_shape))
    found = op.rule.terms_of(op, inputs)
    if found is not None:
        products = (inputs.flatten(1).double() @ entries.T).amax(1)
        assert bool((found >= products).all()), f"outputs add up {products} products, but terms_of says {found}"
    outputs = (torch.arange(op.out_shape.numel()) % 3 > 0).view(1, *op.out_shape)
    found = op.rule.fan_of(op, outputs)
    if found is not None:
        rows = (outputs.flatten(1).double() @ entries).amax(1)
        assert bool((found >= rows).all()), f"rows of inputs add up {rows} products, but fan_of says {found}"


def _matrix(op: Operator) -> Tensor:
    """The matrix A of an affine layer, (out, in), from one unit input for each column."""
    size = op.in_shape.numel()
    unit = torch.eye(size, dtype=torch.float64).view(size, *op.in_shape)
    columns = op(unit) - op(torch.zeros(1, *op.in_shape, dtype=torch.float64))
    return columns.flatten(1).T


def _size(op: Operator, z: Tensor) -> Tensor:
    """The size of the numbers that make the value at z, (B, *out)."""
    if not op.rule.affine:
        return 1 + op(z).abs()
    return 1 + op.rule.magnitude(op, z.abs())


def operator(module: torch.nn.Module, in_shape: Shape) -> Operator:
    """The layer with the rule that is registered for its class. Raises ``UnsupportedError`` where there is none."""
    from inradius.components.registry import layer_rules

    rules = layer_rules()
    found = next((rules[each] for each in type(module).__mro__ if each in rules), None)
    if found is None:
        raise UnsupportedError(
            f"{type(module).__name__} has no layer rule; a plugin brings one through the hook layer_rules"
        )
    module = module.double().eval()
    found.check(module)
    with torch.no_grad():
        out = module(torch.zeros(1, *in_shape, dtype=torch.float64)).shape[1:]
    return Operator("layer", module, found, torch.Size(in_shape), out)


LAWS = (
    interval_contains_values,
    relaxation_is_below_and_above,
    decided_inputs_are_linear,
    adjoint_is_the_adjoint,
    unit_rows_are_rows,
    affine_intervals_are_exact,
    magnitude_is_a_bound,
    stretch_is_a_bound,
    sums_over_some_are_counted,
)
