"""Bounds in blocks of a stated memory: the same bounds, and no more numbers at once."""

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, Property, ThreatModel
from inradius_bounds.backward import memory
from inradius_bounds.backward.row_sizes import numbers_of_row
from inradius_bounds.capture.trace import trace
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rounding import Rounding

SPECS = ("interval()", "dual()", "crown()", "alpha(steps=3, layers='all')")


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 25, 20),
    ).eval()  # fmt: skip
    x = torch.rand(7, 1, 10, 10)
    return model, x, model(x).argmax(1), inradius.make("linf(eps=0.05)", ThreatModel)


@pytest.mark.parametrize("spec", SPECS)
def test_blocks_change_no_bound_beyond_rounding(spec, case):
    model, x, y, threat = case
    whole = inradius.make(spec, Certifier)
    small = attrs.evolve(whole, memory=0.01)
    mine, its = whole(model, x, y, threat), small(model, x, y, threat)
    room = mine.error + its.error + 1e-5 * (1 + mine.lower.abs())
    assert bool(((mine.lower - its.lower).abs() <= room).all())
    assert mine.certified.equal(its.certified)


def test_a_row_of_a_convolution_sees_its_windows(case):
    model, x, _, _ = case
    network = trace(model, x).network
    second = next(node for node in network.nodes if node.stored == torch.Size([8, 5, 5]))
    # three by three pixels of four channels, made of seven by seven of one
    assert numbers_of_row(network, second) == 49
    # behind the last layer rows are dense
    assert numbers_of_row(network, network.result) == 8 * 25


def test_rows_at_once_keep_to_the_limit(case):
    model, x, _, threat = case
    network = trace(model, x).network
    for limit in (1, 1000, 100_000):
        values = ValueBounds(network, x, threat, None, limit=limit)
        rows = memory.rows_at_once(values, 36)
        assert rows == 1 or rows * 36 * len(x) <= limit


def test_examples_are_taken_in_parts_in_their_order(case):
    model, x, y, threat = case
    network = trace(model, x).network
    values = ValueBounds(network, x, threat, None, limit=19 * network.widest * 2)
    prop = Property.margins(y, 20)
    seen = []

    def run(part, asked):
        seen.append(len(part.x))
        return memory.ClosedRows(
            asked.weights.flatten(1).sum(1, keepdim=True) + part.x.flatten(1).sum(1, keepdim=True), None, None
        )

    found = memory.in_parts(values, prop, run)
    assert seen == [2, 2, 2, 1]
    assert found.value.equal(prop.weights.flatten(1).sum(1, keepdim=True) + x.flatten(1).sum(1, keepdim=True))


def test_a_share_of_what_is_free_is_more_than_a_megabyte_of_it():
    x = torch.zeros(1)
    assert memory.free_bytes(x.device) > 1 << 20
    assert memory.numbers_within(None, x) > memory.numbers_within(1.0, x) == (1 << 20) // 48


def test_the_limit_of_rows_is_that_of_the_free_memory_or_more_than_blocks_hold(monkeypatch):
    x = torch.zeros(1)
    assert min(memory.row_limit(None, x), memory._EXAMPLES) == min(memory.numbers_within(None, x), memory._EXAMPLES)
    monkeypatch.setattr(memory, "_unused_bytes", lambda: 1 << 20)
    assert memory.row_limit(None, x) > 1 << 20
    assert memory.row_limit(1.0, x) == memory.numbers_within(1.0, x)


@pytest.mark.parametrize("value", [0, -1.0, "1GB", True])
def test_memory_is_a_number_of_megabytes(value):
    with pytest.raises((ValueError, inradius.InputError), match="allowed is a finite number > 0"):
        attrs.evolve(inradius.make("crown()", Certifier), memory=value)


def test_boxes_that_are_not_needed_any_more_are_dropped():
    torch.manual_seed(0)
    model, x = Skipping().eval(), torch.rand(3, 4)
    threat = inradius.make("linf(eps=0.1)", ThreatModel)
    certifier = inradius.make("interval()", Certifier)
    network = trace(model, x, threat).network
    kept, passing = (ValueBounds(network, x, threat, Rounding(x.dtype), passing=each) for each in (False, True))
    last = network.curves[-1]
    for values in (kept, passing):
        values.find([last])
    assert all(map(torch.equal, kept.box(last), passing.box(last)))
    assert set(passing.boxes) <= {network.entry, last} < set(kept.boxes)
    # a box that was dropped is computed again
    first = network.curves[0]
    assert all(map(torch.equal, kept.box(first), passing.box(first)))
    assert certifier.passing


class Skipping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, z):
        for layer in self.layers:
            z = z + layer(z.relu())
        return z.relu()


def test_boxes_are_kept_where_sizes_come_from_them():
    """Else the box of each layer would be computed again for each size behind it."""
    x, threat = torch.rand(3, 4), inradius.make("linf(eps=0.1)", ThreatModel)
    network = trace(Skipping().eval(), x, threat).network
    assert ValueBounds(network, x, threat, Rounding(x.dtype), passing=True).passing
    assert not ValueBounds(network, x, threat, Rounding(x.dtype, x.dtype), passing=True).passing
