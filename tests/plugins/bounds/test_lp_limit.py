"""``lp`` with a limit of time: what is left keeps the bounds of ``crown``, and what was solved in time is the same."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.certifiers import lp as module

pytestmark = pytest.mark.skipif(find_spec("cvxpy") is None, reason="these are tests of lp")
SETS = ["linf(eps=0.1, bounds=None)", "l2(eps=0.2, bounds=None)"]


def network(width=20):
    torch.manual_seed(0)
    layers = [nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)]
    return nn.Sequential(*layers).double().eval(), torch.randn(2, 6, dtype=torch.float64), torch.tensor([0, 3])


def bounds(spec, threat):
    model, x, y = network()
    return inradius.make(spec, Certifier)(model, x, y, inradius.make(threat, ThreatModel)).lower


@pytest.mark.parametrize("threat", SETS)
def test_with_time_enough_the_bounds_are_those_without_a_limit(threat):
    assert torch.equal(bounds("lp(seconds=100)", threat), bounds("lp()", threat))
    assert bool((bounds("lp()", threat) > bounds("crown()", threat) + 1e-6).any())


@pytest.mark.parametrize("threat", SETS)
def test_without_time_the_bounds_are_those_of_crown(threat):
    assert torch.equal(bounds("lp(seconds=1e-9)", threat), bounds("crown()", threat))


def test_rows_that_are_solved_in_time_keep_their_bounds(monkeypatch):
    """The clock is past the limit from the fourth question for the time on."""
    ticks = iter([0.0, 1.0, 2.0, 99.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(ticks, 99.0))
    found, whole, first = bounds("lp(seconds=10)", SETS[0]), bounds("lp()", SETS[0]), bounds("crown()", SETS[0])
    assert torch.equal(found[0, :2], whole[0, :2])
    assert torch.equal(found[0, 2:], first[0, 2:])


@pytest.mark.parametrize("threat", SETS)
def test_a_program_that_is_cut_short_has_no_answer_and_no_warning(threat, monkeypatch):
    # the clock of the certifier stands, so that the solver alone sees its limit
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)
    torch.manual_seed(0)
    layers = [nn.Linear(40, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 2)]
    model, x = nn.Sequential(*layers).eval(), torch.rand(1, 40)
    prop = Property(torch.tensor([[[1.0, -1.0]]]), torch.zeros(1, 1))
    chosen = inradius.make(threat.replace("0.1", "0.5").replace("0.2", "2.0"), ThreatModel)
    limited = inradius.make("lp(seconds=0.01)", Certifier)(model, x, None, chosen, prop=prop)
    crown = inradius.make("crown()", Certifier)(model, x, None, chosen, prop=prop)
    assert torch.equal(limited.lower, crown.lower)


def test_verification_hands_its_limit_to_lp():
    model, x, _ = network()
    prop = Property(torch.tensor([[[1.0, -1.0, 0.0, 0.0]]]).double(), torch.zeros(1, 1).double())
    found = inradius.verify(model, x[:1], SETS[0], prop, timeout=5, certifier="lp")
    assert found.status in ("unsat", "sat", "unknown", "timeout")


@pytest.mark.parametrize("seconds", ["0", "-1", "True", "'1'"])
def test_other_limits_are_refused(seconds):
    with pytest.raises(inradius.SpecError, match="seconds"):
        inradius.make(f"lp(seconds={seconds})", Certifier)
