"""Searches over boxes of inputs agree with searches over neurons, and with the network's outputs on a grid."""

import pytest
import torch
from torch import nn

import inradius
from inradius import Property, ThreatModel
from inradius_bounds.certifiers.branch_and_bound import BranchAndBound
from inradius_bounds.search import cell_splits, example_search, input_search

F64 = torch.float64
CLAUSES = {
    "each row": None,
    "one of two": [[True, True, False], [False, False, True]],
    "one of three": [[True, True, True]],
}
ACTIVATIONS = {"relu": nn.ReLU, "leaky": nn.LeakyReLU, "tanh": nn.Tanh}


def network(seed, activation):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 12), ACTIVATIONS[activation](), nn.Linear(12, 9), ACTIVATIONS[activation](), nn.Linear(9, 3)
    )
    for weights in model.parameters():
        weights.data *= 1.4
    return model.eval()


def lowest(model, x, eps, rows, clauses, steps=201):
    """The least value of the property on a grid: the smallest over the clauses of the largest of a clause's rows."""
    line = torch.linspace(-eps, eps, steps)
    points = x + torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    with torch.no_grad():
        values = model(points).double() @ rows.T
    members = torch.eye(len(rows), dtype=torch.bool) if clauses is None else torch.tensor(clauses)
    return torch.where(members[:, None], values, -torch.inf).amax(2).amin(0).min().item()


def asked(seed, activation, kind, distance):
    """A network, its input, a box, and a property whose least value on a grid is at ``distance`` from 0, relative to its size."""
    model, x, eps = network(seed, activation), torch.rand(1, 2), 0.4
    rows, clauses = torch.randn(3, 3, dtype=F64), CLAUSES[kind]
    least = lowest(model, x, eps, rows, clauses)
    offset = distance * (1 + abs(least)) - least
    members = None if clauses is None else torch.tensor(clauses)
    prop = Property(rows.float(), torch.full((3,), offset), members)
    return model, x, inradius.make(f"linf(eps={eps}, bounds=None)", ThreatModel), prop


def answer(model, x, threat, prop, seconds=20.0):
    found = BranchAndBound(seconds=seconds)(model, x, None, threat, prop=prop)
    assert not (bool(found.certified) and found.witness is not None)
    return True if bool(found.certified) else None if found.witness is None else False


@pytest.mark.parametrize("distance", [0.05, 1e-3, -1e-3, -0.05])
@pytest.mark.parametrize("kind", CLAUSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_cells_and_neurons_decide_alike(activation, kind, distance, monkeypatch):
    case = asked(10 * list(CLAUSES).index(kind) + list(ACTIVATIONS).index(activation), activation, kind, distance)
    monkeypatch.setattr(example_search, "_UNDECIDED", -1)
    cells = answer(*case)
    # the least value lies at most a little below that on the grid
    assert cells is (distance > 0) or (distance == 1e-3 and cells is False)
    monkeypatch.setattr(example_search, "_INPUTS", 0)
    if activation != "tanh":
        assert answer(*case) is cells


def test_cells_are_halved_without_splits_at_neurons(monkeypatch):
    monkeypatch.setattr(example_search, "_UNDECIDED", -1)
    monkeypatch.setattr(cell_splits, "_ROUNDS", 0)
    assert answer(*asked(3, "relu", "one of two", 0.02)) is True
    assert answer(*asked(3, "relu", "one of two", -0.02)) is False


def test_the_halves_of_cells_cover_them():
    cells = input_search.Cells(torch.tensor([[0.0, -1.0], [2.0, 2.0]]), torch.tensor([[1.0, 3.0], [4.0, 2.5]]))
    halves = cells.halves(torch.tensor([1, 0]))
    assert torch.equal(halves.low, torch.tensor([[0.0, -1.0], [2.0, 2.0], [0.0, 1.0], [3.0, 2.0]]))
    assert torch.equal(halves.high, torch.tensor([[1.0, 1.0], [3.0, 2.5], [1.0, 3.0], [4.0, 2.5]]))


def test_inputs_that_do_not_vary_are_not_counted(monkeypatch):
    # 20 inputs of which two vary, at level float, which widens the room of every input by rounding
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 60), nn.ReLU(), nn.Linear(60, 3)).eval()
    x = torch.rand(1, 20)
    eps = torch.zeros(1, 20)
    eps[0, :2] = 2.0
    seen = []
    run = input_search.InputSearch.run
    monkeypatch.setattr(input_search.InputSearch, "run", lambda self, limit: seen.append(self) or run(self, limit))
    region = inradius.sets.region.BoxRegion.between(x - eps, x + eps, x)
    least = min(model(x + torch.rand(500, 20) * eps)[:, 0].min().item() for _ in range(3))
    prop = Property(torch.tensor([[1.0, 0, 0]]), torch.tensor([0.3 - least]))
    BranchAndBound(seconds=5.0)(model, x, None, region, prop=prop, claim="float")
    assert seen


class Overflowing(nn.Module):
    """tanh(2 sinh(400 x)), thirty times. Bounds of its values are infinite where no value of a run is NaN."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(1, 30, bias=False)
        nn.init.constant_(self.scale.weight, 400.0)

    def forward(self, x):
        large = self.scale(x)
        return torch.tanh(torch.exp(large) - torch.exp(-large)).mean(1, keepdim=True)


@pytest.mark.parametrize("claim", ["real", "float"])
def test_domains_with_limits_that_are_not_numbers_are_not_taken_for_empty(claim):
    model, x = Overflowing().double().eval(), torch.full((1, 1), 0.1, dtype=F64)
    assert model(torch.full((1, 1), -0.5, dtype=F64)).item() < -0.9
    prop = Property(torch.ones(1, 1, dtype=F64), torch.full((1,), 0.5, dtype=F64))
    threat = inradius.make("linf(eps=3.0, bounds=None)", ThreatModel)
    found = BranchAndBound(seconds=3.0)(model, x, None, threat, prop=prop, claim=claim)
    assert not bool(found.certified)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_witness_violates_the_property_as_it_was_asked_for(dtype):
    # f(x) = x at x = 1; in float32 the offset is rounded to -1, and the property would be violated
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU()).to(dtype).eval()
    nn.init.constant_(model[0].weight, 1.0)
    prop = Property(torch.ones(1, 1, dtype=F64), torch.tensor([2.0**-30 - 1], dtype=F64))
    x = torch.ones(1, 1, dtype=dtype)
    found = BranchAndBound(seconds=2.0)(
        model, x, None, inradius.make("linf(eps=0.0, bounds=None)", ThreatModel), prop=prop
    )
    assert found.witness is None or bool(found.witness.isnan().all())
