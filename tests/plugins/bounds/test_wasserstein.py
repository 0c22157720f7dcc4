"""Certificates over Wasserstein balls: the set enters the first layer and the last step, and no attack is below a bound."""

import pytest
import torch
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Attack, Certifier, ExampleRNG, Property, ThreatModel
from inradius_bounds.capture.trace import trace

F64 = torch.float64
SETS = [
    "wasserstein(eps=0.1)",
    "wasserstein(eps=0.02)",
    "wasserstein(eps=0.1, kernel=3, p=2)",
    "wasserstein(eps=0.1, mass='absolute')",
    "wasserstein(eps=0.1, bounds=(0, 1))",
]
CERTIFIERS = ["interval()", "dual()", "dual(intersect=False)", "alpha(steps=5)", "crown(intersect=False, best=False)"]


def threat(spec):
    return inradius.make(spec, ThreatModel)


def certifier(spec):
    return inradius.make(spec, Certifier)


def mlp(seed, channels=1):
    torch.manual_seed(seed)
    layers = (nn.Linear(36 * channels, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    return nn.Sequential(nn.Flatten(), *layers).eval()


def convolutional(seed, channels=1):
    torch.manual_seed(seed)
    hidden = (nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, 1, 1), nn.ReLU())
    return nn.Sequential(*hidden, nn.Flatten(), nn.Linear(45, 3)).eval()


NETWORKS = {"mlp": mlp, "conv": convolutional}


def images(channels=1, count=4, seed=0, dtype=F64):
    """Images with empty pixels, one of them nearly black."""
    generator = torch.Generator().manual_seed(seed)
    x = (1.6 * torch.rand(count, channels, 6, 6, dtype=F64, generator=generator) - 0.6).clamp(0, 1)
    x[-1] *= torch.rand(channels, 6, 6, generator=generator) < 0.1
    return x.to(dtype), torch.randint(3, (count,), generator=generator)


def lowest_margins(net, x, y, found):
    """The smallest value of each margin that Frank–Wolfe and random points of the set reach, in float64, (B, 2)."""
    net, x = net.double(), x.double()
    prop = Property.margins(y, 3, dtype=F64)
    points = [found.sample(x, rng=ExampleRNG(seed, torch.arange(len(x)))) for seed in range(3)]
    for row in range(2):
        points += follow(net, x, prop.weights[:, row], found)
    with torch.no_grad():
        values = [(prop.weights @ net(x + delta)[..., None]).squeeze(2) for delta in points]
    return torch.stack(values).amin(0)


def follow(net, x, weights, found, steps=10):
    """The points that Frank–Wolfe visits on its way to the least weights · f(x + δ)."""
    delta, visited = torch.zeros_like(x), []
    for step in range(steps):
        free = delta.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((weights * net(x + free)).sum(), free)
        vertex = found.linear_max(-gradient, x)
        delta = delta + 2 / (step + 2) * (vertex - delta)
        visited += [vertex, delta]
    return visited


def turns():
    """Each set in turn with each network; those with a cap, whose support is a program to solve, are for ``-m slow``."""
    for case in in_turn(SETS, [*NETWORKS], [torch.float32, F64]):
        capped = "bounds=(0, 1)" in case.values[0]
        yield pytest.param(*case.values, marks=pytest.mark.slow if capped else case.marks)


@pytest.mark.parametrize(("spec", "network", "dtype"), [*turns()], ids=str)
def test_no_value_of_the_set_lies_below_the_bound(spec, network, dtype):
    channels = 1 if dtype == torch.float32 else 2
    net, (x, y) = NETWORKS[network](channels, channels).to(dtype), images(channels, dtype=dtype)
    with torch.no_grad():
        proofs = [certifier(kind)(net, x, y, threat(spec)) for kind in CERTIFIERS]
    reached = lowest_margins(net, x, y, threat(spec))
    for proof in proofs:
        assert bool((reached >= proof.lower - proof.error).all())


@pytest.mark.parametrize(("kind", "spec"), in_turn(CERTIFIERS, SETS))
def test_an_affine_network_is_bounded_by_the_support_function(kind, spec):
    torch.manual_seed(0)
    net, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).double(), images()
    prop = Property.margins(y, 3, dtype=F64)
    rows = (prop.weights @ net[1].weight).view(4, 2, 1, 6, 6)
    with torch.no_grad():
        exact = (prop.weights @ net(x)[..., None]).squeeze(2) - threat(spec).support(-rows, x)
        proof = certifier(kind)(net, x, y, threat(spec))
    torch.testing.assert_close(proof.lower, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_bounds_of_the_first_layer_are_attained(network):
    """Without a cap each bound of a hidden value is the value at a point of the set, not that of a box around it."""
    net, (x, _) = NETWORKS[network](0).double(), images()
    found, block = threat(SETS[0]), trace(net, x).layers[0].block
    with torch.no_grad():
        value, bound = block(x).flatten(1), found.bound_affine(block, x)[1].flatten(1)
        rows = block.unit_rows(torch.arange(value.shape[1])[None], F64)[0]
        gains = [(row * found.linear_max(row.expand_as(x), x)).flatten(1).sum(1) for row in rows]
        low, high = found.hull(x)
        box = block.interval(x + low, x + high)[1].flatten(1)
    attained = value + torch.stack(gains, dim=1)
    assert bool((bound >= attained - 1e-9).all())
    # filters share a grid of prices, rows do not
    assert float((bound - attained).sum()) <= (0.01 if network == "conv" else 1e-9) * float((attained - value).sum())
    assert float((bound - value).sum()) < 0.6 * float((box - value).sum())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", ["interval()", "dual()", "crown()"])
def test_batch_mates_change_no_bound(kind, network):
    net, (x, y) = NETWORKS[network](3).double(), images()
    with torch.no_grad():
        together = certifier(kind)(net, x, y, threat(SETS[0])).lower
        alone = [certifier(kind)(net, x[i : i + 1], y[i : i + 1], threat(SETS[0])).lower for i in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", ["interval()", "dual()", "crown(best=False)"])
def test_bounds_to_train_on_have_a_gradient_and_lie_near_the_certificate(kind, network):
    net, (x, y) = NETWORKS[network](4).double(), images()
    lower = certifier(kind).bound(net, x, y, threat(SETS[0]))
    lower.sum().backward()
    assert all(bool(value.grad.isfinite().all()) for value in net.parameters())
    assert float(net[1].weight.grad.norm() if network == "mlp" else net[0].weight.grad.norm()) > 0
    with torch.no_grad():
        proof = certifier(kind)(net, x, y, threat(SETS[0]))
    # in training, rows share a grid of prices as well; each is a bound, and none changes a margin much
    assert float((proof.lower - lower).detach().abs().max()) < 0.02


@pytest.mark.parametrize("attack", ["frank_wolfe(steps=20)", pytest.param("pgd(steps=10)", marks=pytest.mark.slow)])
def test_what_is_certified_is_not_broken(attack):
    """Random networks with their own labels, at a radius where both happen."""
    certified, broken = [], []
    for seed in range(3):
        net, (x, _) = mlp(seed), images(count=30, seed=seed, dtype=torch.float32)
        with torch.no_grad():
            net[5].bias -= net(x).mean(0)
        y = net(x).argmax(1)
        with torch.no_grad():
            certified.append(certifier("crown()")(net, x, y, threat(SETS[0])).certified)
        broken.append(inradius.make(attack, Attack)(net, x, y, threat(SETS[0])).success)
    certified, broken = torch.cat(certified), torch.cat(broken)
    assert not bool((certified & broken).any())
    assert bool(certified.any())
    assert bool(broken.any())


@pytest.mark.parametrize("spec", [SETS[0], pytest.param(SETS[-1], marks=pytest.mark.slow)])
def test_dual_below_the_lp_below_what_is_reached(spec):
    pytest.importorskip("cvxpy", reason="the lp certifier needs cvxpy")
    net, (x, y) = mlp(5).double(), images(count=2)
    with torch.no_grad():
        dual, lp = (certifier(kind)(net, x, y, threat(spec)).lower for kind in ("dual()", "lp()"))
    assert bool((dual <= lp + 1e-7).all())
    assert bool((lp <= lowest_margins(net, x, y, threat(spec)) + 1e-9).all())
