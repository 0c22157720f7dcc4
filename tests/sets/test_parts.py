"""The parts of sets with a radius of their own for each example."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Oracles, Property, ThreatModel

SPECS = ["linf(eps=0.1)", "l0(k=2)", "patch(size=2, eps=0.2)", "union(linf(eps=0.1), patch(size=2, eps=0.2))"]


@pytest.mark.parametrize("spec", SPECS)
def test_parts_end_at_sets_that_have_no_others(spec):
    threat, x = inradius.make(spec, ThreatModel), torch.rand(1, 2, 2, 4)
    scaled = threat.per_example(torch.tensor([1.7]))
    assert len(scaled.members()) == len(threat.members())
    for part in scaled.members():
        assert part.members() == (part,)
        found = part.convex_parts(x)
        assert found is None or all(each.convex for each in found)


def test_a_set_that_gives_a_copy_of_itself_as_its_part_has_no_convex_parts():
    class Copied(type(inradius.make("l0(k=1)", ThreatModel))):
        def members(self) -> tuple[Oracles, ...]:
            return (Copied(k=self.k),)

    assert Copied(k=1).convex_parts(torch.rand(1, 1, 2, 2)) is None


@pytest.mark.parametrize("room", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("spec", SPECS[2:])
def test_patches_with_a_radius_of_their_own_are_verified_as_those_of_that_radius(spec, room):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 2)).eval(), torch.rand(1, 2, 2, 4)
    rows = torch.tensor([[1.0, -1.0]])
    prop = Property(rows, room - (net(x).detach() @ rows.T)[0])
    scaled = inradius.make(spec, ThreatModel).per_example(torch.tensor([1.7]))
    whole = inradius.make(spec.replace("0.2", "0.34").replace("0.1", "0.17"), ThreatModel)
    answers = {inradius.verify(net, x, each, prop, timeout=10).status for each in (scaled, whole)}
    assert not {"sat", "unsat"} <= answers
