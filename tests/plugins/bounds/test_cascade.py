"""The cascade of certifiers: the examples that each member sees, and the result."""

import attrs
import pytest
import torch
from chain_networks import compared
from torch import nn

import inradius
from inradius import Attack, Bounds, Certifier, ExampleRNG, Property, SpecError, ThreatModel
from inradius_bounds.certifiers.cascade import STANDARD, CertifierCascade
from inradius_bounds.certifiers.promise import promising
from inradius_bounds.certifiers.refutation import refuted

F64 = torch.float64
SEEN: list[list[float]] = []


@attrs.frozen(kw_only=True)
class Spy(Certifier):
    """Records the first pixels of its inputs, and proves nothing."""

    def lower_bound(self, model, x, threat, prop, rng):
        SEEN.append(x[:, 0].tolist())
        return Bounds(torch.full_like(prop.offsets, -1.0), error=torch.zeros_like(prop.offsets))


def batch(count=12, seed=0):
    x = torch.rand(count, 6, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return x, compared()(x).argmax(1)


def threat(eps):
    return inradius.make(f"linf(eps={eps})", ThreatModel)


@pytest.mark.parametrize("eps", [0.02, 0.08, 0.15])
def test_a_cascade_certifies_what_its_members_certify(eps):
    net, (x, y) = compared(), batch()
    whole = inradius.make("certifier_cascade(steps=0)", Certifier)(net, x, y, threat(eps))
    members = [member(net, x, y, threat(eps)) for member in STANDARD]
    assert torch.equal(whole.certified, torch.stack([member.certified for member in members]).any(0))
    assert bool((whole.lower <= torch.stack([member.lower for member in members]).amax(0) + 1e-12).all())


@pytest.mark.parametrize("eps", [0.05, 0.15])
def test_a_cascade_proves_nothing_that_is_false_and_gives_up_what_is_broken(eps):
    net, (x, y) = compared(), batch()
    cascade = inradius.make("certifier_cascade()", Certifier)
    found = cascade(net, x, y, threat(eps))
    attacked = inradius.make("pgd(steps=40, restarts=3)", Attack)(net, x, y, threat(eps))
    assert not bool((found.certified & attacked.success).any())
    alone = torch.cat([cascade(net, x[i : i + 1], y[i : i + 1], threat(eps)).lower for i in range(len(x))])
    torch.testing.assert_close(alone, found.lower, rtol=1e-9, atol=1e-9)
    broken = refuted(net, x, threat(eps), Property.margins(y, 3, dtype=F64), 10)
    certain = inradius.make("alpha(layers='all')", Certifier)(net, x, y, threat(eps)).certified
    assert not bool((certain & broken).any())


def test_later_members_see_what_is_left():
    net, (x, y) = compared(), batch()
    SEEN.clear()
    found = CertifierCascade(members=(inradius.make("dual()", Certifier), Spy()), steps=0)(net, x, y, threat(0.02))
    assert 0 < int(found.certified.sum()) < len(x)
    assert [x[~found.certified, 0].tolist()] == SEEN


def test_what_is_refuted_is_left_to_no_member():
    net, (x, y) = compared(), batch()
    SEEN.clear()
    CertifierCascade(members=(inradius.make("interval()", Certifier), Spy()), steps=20)(net, x, y, threat(0.5))
    broken = refuted(net, x, threat(0.5), Property.margins(y, 3, dtype=F64), 20)
    assert bool(broken.any())
    assert ([x[~broken, 0].tolist()] if not bool(broken.all()) else []) == SEEN


def test_no_member_begins_after_the_time_is_over():
    net, (x, y) = compared(), batch()
    SEEN.clear()
    CertifierCascade(members=(inradius.make("interval()", Certifier), Spy()), seconds=1e-9)(net, x, y, threat(0.3))
    assert SEEN == []


def test_a_union_and_other_sets_pass_through():
    net, (x, y) = compared(), batch()
    for spec in ("union(linf(eps=0.05), l1(eps=0.3))", "patch(size=1, eps=0.1)", "l2(eps=0.1)"):
        the_set = inradius.make(spec, ThreatModel)
        images = x.view(-1, 1, 2, 3)
        found = inradius.make("certifier_cascade()", Certifier)(nn.Sequential(nn.Flatten(), *net), images, y, the_set)
        for seed in range(5):
            delta = the_set.sample(images, rng=ExampleRNG(seed, torch.arange(len(x))))
            assert bool((net((images + delta).flatten(1)).argmax(1) == y)[found.certified].all())


def test_members_must_be_certifiers():
    with pytest.raises(SpecError, match="certifier"):
        inradius.make("certifier_cascade(pgd())", Certifier)


def wanting(net, x, y, threat):
    """The bounds before alpha over all layers, and the missing share of their distance to the values at x."""
    before = CertifierCascade(members=STANDARD[:-1], steps=0)(net, x, y, threat).lower
    prop = Property.margins(y, 3, dtype=F64)
    worst, known = before.amin(1), prop.values(net(x)).amin(1)
    return before, -worst / (known - worst)


@pytest.mark.parametrize(("promise", "share"), [(1e-9, 1e-9), (0.2, 0.2), (0.5, 0.5), (9.0, 0.85)])
def test_examples_without_promise_are_left_out_of_the_dearest_member_alone(promise, share):
    """Of two layers that are not linear one gets new bounds: the share is the promise, and at most 0.85."""
    net, (x, y) = compared(), batch(40)
    the_set = threat(0.12)
    short, missing = wanting(net, x, y, the_set)
    found, whole = (CertifierCascade(steps=0, promise=each)(net, x, y, the_set).lower for each in (promise, None))
    # an example that is left out keeps the bounds of the other members, and none that these prove is lost
    torch.testing.assert_close(found, torch.where((missing <= share)[:, None], whole, short))
    assert bool((whole > short).any())
    assert bool((missing > 0.85).any())
    assert int((missing <= share).sum()) > int((missing <= 0).sum()) or share < 1e-6


def test_nothing_is_promised_of_what_has_no_bound_or_is_wrong_at_the_input():
    net, (x, y) = compared(), batch(4)
    prop = Property.margins(y, 3, dtype=F64)
    for value, right in ((-torch.inf, prop), (-0.1, Property(-prop.weights, prop.offsets))):
        bounds = torch.full_like(prop.offsets, value)
        assert not bool(promising(net, x, threat(0.1), right, bounds, 0.5).any())
    assert bool(promising(net, x, threat(0.1), prop, torch.zeros_like(prop.offsets), 0.5).all())


@attrs.frozen(kw_only=True)
class Tell(Certifier):
    """Answers with rows of its own, by the first pixel in fourths, at its own level."""

    value: tuple = ()
    claim: str = "real"
    doubt: float = 0.0
    error: float = 0.0
    cost: float | None = None

    def lower_bound(self, model, x, threat, prop, rng):
        rows = torch.tensor(self.value, dtype=x.dtype)[(4 * x[:, 0]).long()]
        error = torch.full_like(rows, self.error)
        cost = None if self.cost is None else lambda: torch.full_like(rows, self.cost)
        return Bounds(rows, failure_probability=self.doubt, error=error, claim=self.claim, float_cost=cost)


def flat():
    """A network that is 0 everywhere, and three inputs that Tell distinguishes."""
    net = nn.Linear(2, 3).double()
    with torch.no_grad():
        net.weight.zero_()
    return net, torch.tensor([[0.0, 0.0], [0.25, 0.0], [0.5, 0.0]], dtype=F64)


def told(*members, **options):
    net, x = flat()
    cascade = CertifierCascade(members=members, steps=0)
    return cascade(net, x, torch.zeros(3, dtype=torch.int64), threat(0.1), **options)


def test_the_claim_is_that_of_the_members_the_bounds_are_from():
    found = told(
        Tell(value=((1.0, 1.0), (-1.0, 2.0), (-1.0, -2.0))),
        Tell(value=((9.0, 9.0), (1.0, 1.0), (-2.0, -3.0)), claim="solver"),
        Tell(value=((9.0, 9.0), (9.0, 9.0), (-3.0, 1.0)), doubt=0.1),
    )
    assert found.lower.tolist() == [[1.0, 1.0], [1.0, 2.0], [-1.0, 1.0]]
    assert found.claim == ("real", "solver", "probabilistic")
    assert found.counted(claim="real").tolist() == [True, False, False]


def test_infinite_bounds_of_a_member_prove_nothing_and_stay_infinite():
    inf = float("inf")
    found = told(
        Tell(value=((inf, 1.0), (-inf, 1.0), (-inf, -inf))), Tell(value=((-inf, -1.0), (-inf, 2.0), (-9.0, -9.0)))
    )
    assert found.certified.tolist() == [False, False, False]
    assert found.lower.tolist() == [[-inf, 1.0], [-inf, 2.0], [-9.0, -9.0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_bounds_beyond_the_range_of_the_type_are_not_above_the_minimum(dtype):
    net = nn.Linear(2, 2, bias=False)
    net.weight.data = torch.tensor([[1.5, 0.0], [-1.5, 0.0]])
    eps = float(torch.finfo(dtype).max) / 2
    x, ball = torch.zeros(1, 2, dtype=dtype), inradius.make(f"linf(eps={eps!r}, bounds=None)", ThreatModel)
    for spec in ("certifier_cascade", "certifier_cascade(crown)", "certifier_cascade(seconds=1)", "branch_and_bound"):
        found = inradius.make(spec, Certifier)(net.to(dtype), x, torch.tensor([0]), ball, claim="real")
        assert float(found.lower) - float(found.error) <= -3 * eps


def test_chances_of_several_members_add_up():
    rows = ((-1.0, -1.0),) * 3
    assert told(Tell(value=rows, doubt=0.1), Tell(value=rows, doubt=0.2)).failure_probability == pytest.approx(0.3)


def test_a_row_may_gain_what_the_best_member_without_the_cost_of_float_gains():
    """The cost is counted from the cascade's own bound and error; None where no member paid."""
    net, x = flat()
    prop = Property(torch.eye(3, dtype=F64)[:2], torch.zeros(2, dtype=F64)).expand(3)
    rows = ((-1.0, -3.0), (-1.0, -3.0), (2.0, 2.0))
    paid = Tell(value=rows, claim="float", error=0.5, cost=4.0), Tell(value=((-2.0, -2.0),) * 3, error=0.25, cost=1.0)
    rng = ExampleRNG(0, torch.arange(3))

    def cost(*members):
        found = CertifierCascade(members=members, steps=0).lower_bound(net, x, threat(0.1), prop, rng)
        return None if found.float_cost is None else (found.value + found.error() + found.float_cost()).tolist()

    # −1 + 0.5 + 4 and, from −3 on, 0.5 + 4 again, or −2 + 0.25 + 1; what is proved is left to the first member
    assert cost(*paid) == [[3.5, 1.5], [3.5, 1.5], [6.5, 6.5]]
    assert cost(Tell(value=rows)) is None
    # a member without a cost gains nothing without it
    assert cost(paid[1], Tell(value=((0.0, -5.0),) * 3)) == [[0.25, -0.75]] * 3


def test_a_clause_that_one_row_proves_leaves_nothing_to_later_members():
    either = Property(torch.eye(3, dtype=F64)[:2], torch.zeros(2, dtype=F64), torch.ones(1, 2, dtype=torch.bool))
    first = Tell(value=((1.0, -1.0), (-1.0, -2.0), (-1.0, 1.0)))
    found = told(first, Tell(value=((9.0, 9.0), (0.5, 9.0), (9.0, 9.0)), claim="solver"), prop=either)
    assert found.lower.tolist() == [[1.0, -1.0], [0.5, 9.0], [-1.0, 1.0]]
    assert (found.claim, found.certified.tolist()) == (("real", "solver", "real"), [True, True, True])


def test_what_refutes_a_row_does_not_refute_a_clause():
    """Of two rows of a clause one fails at every point: the example is not given up."""
    net, x = compared(), batch()[0]
    some = Property(
        torch.zeros(2, 3, dtype=F64), torch.tensor([1.0, -1.0], dtype=F64), torch.ones(1, 2, dtype=torch.bool)
    )
    assert not bool(refuted(net, x, threat(0.1), some.expand(len(x)), 3).any())
    assert bool(
        inradius.make("certifier_cascade(interval(), dual())", Certifier)(
            net, x, None, threat(0.1), prop=some
        ).certified.all()
    )


def test_a_cascade_widens_where_all_members_do():
    dual = inradius.make("dual()", Certifier)
    assert CertifierCascade().widens
    assert CertifierCascade(members=(dual,)).widens
    assert not CertifierCascade(members=(dual, Spy())).widens
