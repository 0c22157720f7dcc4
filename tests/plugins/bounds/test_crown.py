"""CROWN bounds, compared with an independent recursion, with the LP over the same inner bounds, and with known cases."""

import pytest
import torch
from chain_networks import mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Attack, Certifier, Operator, Property, ThreatModel
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.capture.trace import trace
from inradius_bounds.layout.forward import fold
from inradius_bounds.layout.layer_bounds import level_boxes
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules import by_layer
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.solvers.linear_program import linear_program

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True)
SETS = ["linf(eps=0.1)", "linf(eps=0.3, bounds=None)", "l2(eps=0.5)", "l1(eps=1.5)"]
F64 = torch.float64


def crown(spec="crown()"):
    return inradius.make(spec, Certifier)


def threat(spec):
    return inradius.make(spec, ThreatModel)


def batch(count=3, seed=0, classes=3):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 6, dtype=F64, generator=generator)
    return x, torch.randint(classes, (count,), generator=generator)


def relu():
    return Operator("relu", nn.ReLU(), by_layer()[nn.ReLU], torch.Size([1]), torch.Size([1]))


@SETTINGS
@given(st.floats(-5, 5), st.floats(0, 5))
def test_the_line_below_a_relu_is_the_one_with_the_smaller_area(low, width):
    lower, upper = torch.tensor([[low]], dtype=F64), torch.tensor([[low + width]], dtype=F64)
    line = smallest_area(relu(), lower, upper)
    assert float(line.lower_offset) == 0
    if lower < 0 < upper:
        assert float(line.lower_slope) == float(upper > -lower)
    else:
        assert float(line.lower_slope) == float(lower >= 0)
    z = torch.linspace(0, 1, 21, dtype=F64) * width + low
    assert bool((line.lower_slope * z + line.lower_offset <= z.relu() + 1e-12).all())
    assert bool((z.relu() <= line.upper_slope * z + line.upper_offset + 1e-12).all())


def walk(layers, bounds, level, row, x, low, high):
    """The lower bound of row · (pre-activation of ``level``), neuron by neuron."""
    constant = 0.0
    for position in range(level - 1, -1, -1):
        weight, bias = layers[position]
        constant, row = constant + float(row @ bias), row @ weight
        if position:
            pulled = torch.zeros_like(row)
            for neuron, (value, lo, up) in enumerate(
                zip(row.tolist(), *(b.tolist() for b in bounds[position - 1]), strict=True)
            ):
                if lo >= 0:
                    pulled[neuron] = value
                elif up > 0 and value >= 0:
                    pulled[neuron] = value if up > -lo else 0.0
                elif up > 0:
                    pulled[neuron] = value * up / (up - lo)
                    constant -= value * up * lo / (up - lo)
            row = pulled
    return constant + float(torch.minimum(row * (x + low), row * (x + high)).sum())


@pytest.mark.parametrize("seed", range(4))
def test_crown_without_its_options_is_the_recursion_of_the_paper(seed):
    net, (x, y) = mlp(seed), batch(seed=seed)
    found = threat("linf(eps=0.15)")
    low, high = found.hull(x)
    layers = [(layer.weight.detach(), layer.bias.detach()) for layer in net if isinstance(layer, nn.Linear)]
    ours = crown("crown(intersect=False, best=False)")(net, x, y, found).lower.detach()
    rows = Property.margins(y, 3, dtype=F64).weights
    for example in range(len(x)):
        place = (x[example], low[example], high[example])
        bounds = []
        for level in range(1, len(layers)):
            unit = torch.eye(len(layers[level - 1][1]), dtype=F64)
            lower = torch.tensor([walk(layers, bounds, level, row, *place) for row in unit], dtype=F64)
            upper = torch.tensor([-walk(layers, bounds, level, -row, *place) for row in unit], dtype=F64)
            bounds.append((lower, upper))
        theirs = [walk(layers, bounds, len(layers), row, *place) for row in rows[example]]
        torch.testing.assert_close(ours[example], torch.tensor(theirs, dtype=F64), rtol=0, atol=1e-9)


def lp_over_crowns_bounds(net, x, y, found):
    """The optimum of the LP relaxation with the inner bounds of CROWN, (B, K)."""
    pytest.importorskip("cvxpy", reason="the LP needs cvxpy")
    chain, prop = trace(net, x), Property.margins(y, 3, dtype=F64)
    with torch.no_grad():
        values = ValueBounds(chain.network, x, found, None)
        relax_curves(values, relax=smallest_area)
        levels = level_boxes(chain, values)
        rows, constant = fold(chain, prop)
    optima = torch.empty_like(constant)
    for example in range(len(x)):
        bounds = [(lower[example : example + 1], upper[example : example + 1]) for lower, upper in levels]
        program = linear_program(chain, x[example : example + 1], found, bounds)
        for row in range(constant.shape[1]):
            optima[example, row] = program.minimise(rows[example, row], float(constant[example, row])).optimum
    return optima, levels


@pytest.mark.parametrize("spec", SETS)
@pytest.mark.parametrize("seed", range(2))
def test_crown_is_never_above_the_lp_with_its_inner_bounds(spec, seed):
    net, (x, y) = mlp(seed), batch(seed=seed)
    optimum, _ = lp_over_crowns_bounds(net, x, y, threat(spec))
    with torch.no_grad():
        assert bool((crown()(net, x, y, threat(spec)).lower <= optimum + 1e-7).all())


@pytest.mark.parametrize("spec", SETS)
def test_crown_is_the_lp_where_no_neuron_has_two_lines_below(spec):
    """Every margin's weight on an undecided neuron is ≤ 0: only the lines above enter, of which there is one each."""
    net, (x, y) = mlp(1, (6, 9, 3)), batch()
    y = torch.zeros_like(y)
    with torch.no_grad():
        net[3].weight[0] = -net[3].weight[0].abs() - 1
        net[3].weight[1:] = net[3].weight[1:].abs()
    optimum, bounds = lp_over_crowns_bounds(net, x, y, threat(spec))
    assert bool(((bounds[0][0] < 0) & (bounds[0][1] > 0)).any())
    with torch.no_grad():
        proved = crown("crown(best=False)")(net, x, y, threat(spec)).lower
    torch.testing.assert_close(proved, optimum, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", SETS)
def test_crown_is_the_truth_where_every_neuron_is_decided(spec):
    net, (x, y) = mlp(2), batch()
    found = threat(spec).scaled(1e-4)
    with torch.no_grad():
        proof = crown()(net, x, y, found)
    optimum, bounds = lp_over_crowns_bounds(net, x, y, found)
    assert not any(bool(((lower < 0) & (upper > 0)).any()) for lower, upper in bounds)
    torch.testing.assert_close(proof.lower, optimum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("spec", SETS)
def test_the_better_slopes_count_margin_by_margin(spec):
    """With one hidden layer the inner bounds are the set's own, so ``best`` is never below ``dual`` or below one pass."""
    net, (x, y) = mlp(3, (6, 20, 3)), batch(20)
    with torch.no_grad():
        best, single, dual = (
            inradius.make(kind, Certifier)(net, x, y, threat(spec)).lower
            for kind in ("crown()", "crown(best=False)", "dual()")
        )
    torch.testing.assert_close(best, torch.maximum(single, dual), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", SETS)
def test_ascent_on_the_slopes_ends_between_crown_and_the_lp(spec):
    """Rows that are open rise; with one hidden layer to the optimum of the LP, whose inner bounds are the set's own."""
    net, (x, y) = mlp(3, (6, 20, 3)), batch(4)
    with torch.no_grad():
        net[3].bias[y] -= 3
        plain, risen = (crown(kind)(net, x, y, threat(spec)).lower for kind in ("crown()", "alpha(steps=100)"))
    assert bool((plain <= 0).any(1).all())
    optimum, _ = lp_over_crowns_bounds(net, x, y, threat(spec))
    assert bool((risen >= plain).all())
    assert bool((risen <= optimum + 1e-7).all())
    assert float((optimum - risen).max()) <= 0.02 * float((optimum - plain).max()) + 1e-6


def test_ascent_on_the_slopes_of_deep_networks():
    """Above the bound it begins at, below the LP, the same in any batch; decided examples are left as they are."""
    net, (x, y) = mlp(1), batch(6)
    found, steps = threat("linf(eps=0.2)"), crown("alpha(steps=20)")
    with torch.no_grad():
        plain, risen = crown()(net, x, y, found).lower, steps(net, x, y, found).lower
        alone = torch.cat([steps(net, x[i : i + 1], y[i : i + 1], found).lower for i in range(6)])
    torch.testing.assert_close(risen, alone, rtol=1e-10, atol=1e-10)
    open_rows = (plain <= 0).any(1)
    assert bool((risen >= plain).all())
    assert bool((risen > plain + 1e-4)[open_rows].any())
    torch.testing.assert_close(risen[~open_rows], plain[~open_rows], rtol=0, atol=0)
    optimum, _ = lp_over_crowns_bounds(net, x, y, found)
    assert bool((risen <= optimum + 1e-7).all())


@pytest.mark.parametrize("spec", SETS)
def test_slopes_of_all_layers_are_never_looser_and_never_wrong(spec):
    """At least the bound with the last layer's slopes, at most any value attained, the same alone."""
    net, (x, y) = mlp(4, (6, 10, 9, 8, 3)), batch(5)
    found, every = threat(spec).scaled(2.5), crown("alpha(steps=8, layers='all')")
    with torch.no_grad():
        final, best = (
            crown(kind)(net, x, y, found).lower for kind in ("alpha(steps=8)", "alpha(steps=8, layers='all')")
        )
        alone = torch.cat([every(net, x[i : i + 1], y[i : i + 1], found).lower for i in range(5)])
    torch.testing.assert_close(best, alone, rtol=1e-9, atol=1e-9)
    assert bool((best >= final).all())
    assert bool((best > final + 1e-5).any())
    attack = inradius.make("pgd(steps=20, objective=margin(), keep_maximising=True)", Attack)
    assert bool((best.amin(1) <= attack(net, x, y, found).margin + 1e-9).all())


def test_bounds_with_chosen_slopes_train():
    net, (x, y) = mlp(1), batch(4)
    lower = crown("alpha(steps=5)").bound(net, x, y, threat("l2(eps=0.5)"))
    (gradient,) = torch.autograd.grad(lower.sum(), net[1].weight)
    assert bool(gradient.isfinite().all())
    assert float(gradient.norm()) > 0


@pytest.mark.parametrize("kind", ["crown", "dual"])
@pytest.mark.parametrize("spec", SETS)
def test_interval_bounds_inside_need_one_backward_pass_and_lie_between(kind, spec):
    net, (x, y) = mlp(5), batch()
    loose, mixed, whole = (
        crown(each)(net, x, y, threat(spec)).lower.detach()
        for each in ("interval()", f"{kind}(inner='interval')", f"{kind}()")
    )
    assert (mixed >= loose - 1e-9).all()
    # slopes move with the inner bounds, so that only the whole is never looser
    assert whole.sum() >= mixed.sum() - 1e-9
    one = net[:4]
    torch.testing.assert_close(
        *(crown(each)(one, x, y, threat(spec)).lower.detach() for each in (f"{kind}(inner='interval')", f"{kind}()"))
    )
