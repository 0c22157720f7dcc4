"""The cascade with a limit of time: it ends with ``branch_and_bound``, whose proofs and witnesses become its own."""

import attrs
import pytest
import torch
from chain_networks import compared
from torch import nn

import inradius
from inradius import Bounds, Certifier, Property, ThreatModel, UnsupportedError
from inradius_bounds.certifiers.cascade import CertifierCascade

F64 = torch.float64
SETS = ["linf(eps=0.06)", "l2(eps=0.08)", "union(linf(eps=0.03), l1(eps=0.1))"]


def made(spec):
    return inradius.make(spec, Certifier)


def batch(count=20, dtype=F64):
    net = compared().to(dtype)
    x = torch.rand(count, 6, dtype=F64, generator=torch.Generator().manual_seed(0)).to(dtype)
    return net, x, net(x).argmax(1)


def told(found):
    """True where the certificate has a witness, (B,)."""
    return found.witness.flatten(1).isfinite().all(1)


@pytest.mark.parametrize("dtype", [F64, torch.float32])
@pytest.mark.parametrize("spec", SETS)
def test_a_cascade_with_time_decides_every_example(spec, dtype):
    (net, x, y), threat = batch(dtype=dtype), inradius.make(spec, ThreatModel)
    short = made("certifier_cascade()")(net, x, y, threat)
    found = made("certifier_cascade(seconds=30)")(net, x, y, threat)
    # the search decides each way, and takes nothing back
    assert bool((found.certified ^ told(found)).all())
    assert 0 < int(short.certified.sum()) <= int(found.certified.sum()) < len(x)
    assert spec != "l2(eps=0.08)" or int(short.certified.sum()) < int(found.certified.sum())
    torch.testing.assert_close(found.lower[short.certified], short.lower[short.certified], rtol=0, atol=0)
    assert (short.witness, found.witness.dtype, set(found.claim)) == (None, dtype, {"float"})
    delta = found.witness[told(found)]
    assert bool(threat.contains(delta, x[told(found)], tol=0.0).all())
    with torch.no_grad():
        values = Property.margins(y, 3, dtype=dtype).values(net(x + found.witness.nan_to_num()))
    assert bool((values.amin(1)[told(found)] <= 0).all())


def test_given_members_end_with_the_search_as_well():
    (net, x, y), threat = batch(), inradius.make(SETS[0], ThreatModel)
    found, whole = (
        made(spec)(net, x, y, threat) for spec in ("certifier_cascade(interval, seconds=30)", "branch_and_bound")
    )
    assert found.certified.tolist() == whole.certified.tolist()
    assert told(found).tolist() == told(whole).tolist()


def test_a_clause_that_several_rows_prove_together_is_proved():
    """Of f > 0 and 0.1 > f neither holds everywhere, and one of them does at each point."""
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    torch.nn.init.eye_(net[0].weight)
    torch.nn.init.constant_(net[0].bias, -0.5)
    torch.nn.init.ones_(net[2].weight)
    torch.nn.init.constant_(net[2].bias, -0.2)
    either = Property(
        torch.tensor([[1.0], [-1.0]], dtype=F64), torch.tensor([0.0, 0.1], dtype=F64), torch.ones(1, 2).bool()
    )
    x, threat = torch.full((1, 2), 0.5, dtype=F64), inradius.make("linf(eps=0.4)", ThreatModel)
    short, found = (
        made(f"certifier_cascade({time})")(net, x, None, threat, prop=either) for time in ("", "seconds=30")
    )
    assert (short.certified.tolist(), found.certified.tolist(), found.claim) == ([False], [True], ("float",))


@attrs.frozen(kw_only=True)
class Guess(Certifier):
    """A solver's word that the first row is 9, and nothing about the second one."""

    def lower_bound(self, model, x, threat, prop, rng):
        rows = torch.tensor([[9.0, -1.0]], dtype=x.dtype).expand_as(prop.offsets)
        return Bounds(rows, error=torch.full_like(rows, 3.0), claim="solver")


def test_a_proof_by_the_search_rests_on_its_own_rows():
    net, x = nn.Linear(2, 2).double(), torch.full((1, 2), 0.5, dtype=F64)
    prop = Property(0.1 * torch.eye(2, dtype=F64), torch.ones(2, dtype=F64))
    found = CertifierCascade(members=(Guess(),), seconds=30.0)(
        net, x, None, inradius.make(SETS[0], ThreatModel), prop=prop
    )
    assert (found.certified.tolist(), found.claim) == ([True], ("float",))
    assert bool((found.lower < 2).all())
    assert bool((found.lower > found.error).all())


def test_time_that_is_spent_begins_no_search():
    (net, x, y), threat = batch(), inradius.make(SETS[0], ThreatModel)
    found, first = (
        made(f"certifier_cascade({m})")(net, x, y, threat)
        for m in ("interval, dual, seconds=1e-9", "interval, steps=0")
    )
    assert found.witness is None
    assert torch.equal(found.lower, first.lower)


def test_training_gets_the_bounds_of_the_members():
    (net, x, y), threat = batch(), inradius.make(SETS[0], ThreatModel)
    found, first = (made(f"certifier_cascade(crown{m})").bound(net, x, y, threat) for m in (", seconds=30", ""))
    torch.testing.assert_close(found, first)


@attrs.frozen(kw_only=True)
class Other(Certifier):
    """Certifies a function that is not the model."""

    def subject(self, model):
        return torch.tanh

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.zeros_like(prop.offsets))


def test_members_that_certify_another_function_get_no_search():
    net, x, y = batch()
    threat = inradius.make(SETS[0], ThreatModel)
    with pytest.raises(UnsupportedError, match="different functions"):
        CertifierCascade(members=(Other(),), seconds=1.0)(net, x, y, threat)
