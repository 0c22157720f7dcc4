"""Models that change their own state: refused where their first run differs from later ones, certified where it is harmless."""

from collections import deque

import pytest
import torch
from torch import nn

import inradius
from inradius import Certifier, ThreatModel, UnsupportedError

SPECS = ["interval()", "crown()", "lp()", "certifier_cascade()"]


class Stateful(nn.Module):
    """A function of the module and the input, with state of several kinds."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function, self.layer = function, nn.Linear(4, 4)
        self.ready, self.count, self.warm, self.table = False, 0, 0.0, None
        self.listed, self.named, self.line, self.members = [], {}, deque(), set()
        self.register_buffer("late", None)

    def forward(self, x):
        return self.function(self, x)


def certify(model, spec="crown()", x=None):
    x = torch.tensor([[0.9, 0.1, 0.2, 0.1], [0.5, 0.6, 0.1, 0.3]]) if x is None else x
    threat = inradius.make("linf(eps=0.01)", ThreatModel)
    return inradius.make(spec, Certifier)(model, x, torch.zeros(len(x), dtype=torch.int64), threat)


def flag(m, x):
    first, m.ready = not m.ready, True
    return -x if first else x


def counter(m, x):
    m.count += 1
    return x * (-1.0 if m.count == 1 else 1.0)


def counter_of_four(m, x):
    m.count += 1
    return x * (1.0 if m.count < 4 else -1.0)


def listed(m, x):
    m.listed.append(1)
    return x * (1.0 if len(m.listed) > 1 else -1.0)


def named(m, x):
    m.named["runs"] = m.named.get("runs", 0) + 1
    return x * (1.0 if m.named["runs"] > 1 else -1.0)


def line(m, x):
    m.line.append(1)
    return x * (1.0 if len(m.line) > 1 else -1.0)


def members(m, x):
    m.members.add(len(m.members))
    return x * (1.0 if len(m.members) > 1 else -1.0)


def warm_up(m, x):
    m.warm = min(m.warm + 0.5, 1.0)
    return x * (m.warm * 2 - 1.5)


def equal_where_positive(m, x):
    first, m.ready = not m.ready, True
    return (x + 1).relu() if first else x + 1


def replaced_weight(m, x):
    if not m.ready:
        m.ready, m.layer.weight = True, nn.Parameter(-m.layer.weight.detach())
        return m.layer(x) * 2
    return m.layer(x)


def data_dependent(m, x):
    m.table = x.mean(0).detach() if m.table is None else m.table
    return x - m.table


def another_constant(m, x):
    if m.table is None:
        m.table = torch.arange(4.0)
        return x + m.table * 2
    return x + m.table


def another_class(m, x):
    kind = type(m.layer)
    m.layer.__class__ = Doubled
    return x * (1.0 if kind is nn.Linear else -1.0)


class Doubled(nn.Linear):
    """Another class of the same layer."""


CHANGING = [
    flag, counter, counter_of_four, listed, named, line, members, warm_up, equal_where_positive, replaced_weight, data_dependent,
    another_constant, another_class,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGING, ids=lambda each: each.__name__)
def test_a_model_whose_first_run_is_another_function_is_refused(change):
    for spec in SPECS[:2]:
        with pytest.raises(
            UnsupportedError, match=r"its own state|has kept from an earlier call|does not in\s+the same way"
        ):
            certify(Stateful(change).eval(), spec)


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_refused_by_every_certifier_and_left_as_it_was(spec):
    model = Stateful(flag).eval()
    for _ in range(2):
        with pytest.raises(UnsupportedError, match=r"Stateful changes its own state when it runs.* uses neg"):
            certify(model, spec)
        assert model.ready is False


def test_a_capture_of_later_runs_does_not_stand_for_a_first_one():
    model = Stateful(flag).eval()
    model(torch.ones(1, 4))
    assert bool(certify(model).certified[0])
    model.ready = False
    with pytest.raises(UnsupportedError, match="changes its own state"):
        certify(model)
    model.ready = True
    assert bool(certify(model).certified[0])


# a module's own table, kept outside of it
_TABLES = {}


def counts(m, x):
    m.count += 1
    m.listed.append(m.count)
    return m.layer(x)


def remembers(m, x):
    m.last_shape, m.features = tuple(x.shape[1:]), m.layer(x)
    m.named["features"] = m.features
    return m.features


def table(m, x):
    m.table = torch.arange(4, dtype=x.dtype).cos() if m.table is None else m.table
    return m.layer(x) + m.table


def registers(m, x):
    if m.late is None:
        m.late = torch.arange(4, dtype=x.dtype).cos() * 1
    return m.layer(x) + m.late


def like_the_input(m, x):
    m.table = torch.ones_like(x[0]) if m.table is None else m.table
    return m.layer(x) + m.table


def of_weights(m, x):
    m.table = m.layer.weight.detach().softmax(1) if m.table is None else m.table
    return m.layer(x) @ m.table


def outside(m, x):
    if "table" not in _TABLES:
        _TABLES["table"] = torch.arange(4, dtype=x.dtype).cos()
    return m.layer(x) + _TABLES["table"]


PLAIN = {
    counts: lambda m, x: m.layer(x),
    remembers: lambda m, x: m.layer(x),
    table: lambda m, x: m.layer(x) + torch.arange(4, dtype=x.dtype).cos(),
    registers: lambda m, x: m.layer(x) + torch.arange(4, dtype=x.dtype).cos(),
    like_the_input: lambda m, x: m.layer(x) + 1,
    of_weights: lambda m, x: m.layer(x) @ m.layer.weight.detach().softmax(1),
    outside: lambda m, x: m.layer(x) + torch.arange(4, dtype=x.dtype).cos(),
}


@pytest.mark.parametrize("function", PLAIN, ids=lambda each: each.__name__)
def test_a_cache_that_changes_no_value_has_the_bounds_of_the_model_without_it(function):
    _TABLES.clear()
    model, expected = Stateful(function).eval(), certify(Stateful(PLAIN[function]).eval())
    for _ in range(2):
        found = certify(model)
        torch.testing.assert_close(found.lower, expected.lower)
        assert model.count == 0
        assert model.table is None
        assert model.late is None
    model(torch.ones(1, 4))
    torch.testing.assert_close(certify(model).lower, expected.lower)


def test_a_first_run_that_only_an_outer_flag_tells_is_refused_once():
    seen = []

    def outer(m, x):
        seen.append(1)
        return x * (1.0 if len(seen) > 1 else -1.0)

    model = Stateful(outer).eval()
    with pytest.raises(UnsupportedError, match="changes its own values from run to run"):
        certify(model)
    # nothing puts the list back, so every further run is a later one
    assert bool(certify(model).certified[0])


@pytest.mark.parametrize("place", ["offset", "rows"])
def test_the_place_of_an_example_in_memory_is_no_part_of_the_function(place):
    factor = {"offset": lambda x: 1 + x.storage_offset(), "rows": lambda x: x.untyped_storage().nbytes()}[place]
    with pytest.raises(UnsupportedError):
        certify(Stateful(lambda m, x: x * factor(x)).eval())
