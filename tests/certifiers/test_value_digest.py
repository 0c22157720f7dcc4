"""Hashes of objects: another number anywhere within gives another hash, use gives none, and what is not shown has none."""

import random
import threading
from collections import OrderedDict
from functools import cached_property, partial

import attrs
import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius.certifiers import value_digest as digests
from inradius.certifiers.value_digest import value_digest

SETS = [
    "linf(eps=0.1)", "l2(eps=0.3)", "l1(eps=1.0)", "l0(k=3)", "wasserstein(eps=0.2)", "patch(size=2)", "box(lo=-0.1, hi=0.1)",
    "union(linf(eps=0.1), l2(eps=0.5))", "intersection(linf(eps=0.1), l2(eps=0.5))",
]  # fmt: skip


@pytest.fixture
def own(monkeypatch):
    """The classes of this module pass for classes that come with inradius."""
    packages = {"inradius", Plain.__module__.partition(".")[0]}
    monkeypatch.setattr(digests, "_own_packages", lambda: packages)


class Plain:
    def __init__(self, **held):
        vars(self).update(held)

    @cached_property
    def doubled(self):
        return [self.number, self.number]


class Private:
    __slots__ = ("__held",)

    def __init__(self, held):
        self.__held = held


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


@attrs.frozen
class Fields:
    numbers: torch.Tensor
    name: str = "a"

    @cached_property
    def total(self):
        return float(self.numbers.sum())


def same(number):
    return torch.full((2000,), 1.0).index_fill(0, torch.tensor([1000]), number)


MADE = {
    "tensor": same,
    "array": lambda number: same(number).numpy(),
    "attribute": lambda number: Plain(number=number),
    "slot": lambda number: Slotted([{"inner": (number,)}]),
    "field": lambda number: Fields(same(number)),
    "list": lambda number: [Plain(number=[number]), None],
    "dict": lambda number: OrderedDict(inner={"deep": same(number)}),
    "set": lambda number: {1.0, number},
    "type": lambda number: 1.0 if number == 1.0 else 1,
}


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.usefixtures("own")
def test_one_number_anywhere_counts(kind):
    first, again, other = (value_digest(MADE[kind](number)) for number in (1.0, 1.0, 1.0000001))
    assert first is not None
    assert first == again != other


@pytest.mark.usefixtures("own")
def test_cached_properties_do_not_count():
    for value, name in ((Plain(number=1.0), "doubled"), (Fields(torch.ones(3)), "total")):
        before = value_digest(value)
        getattr(value, name)
        assert before == value_digest(value) is not None


@pytest.mark.parametrize("spec", SETS)
def test_the_hash_of_a_set_does_not_change_with_its_use(spec):
    threat, x = inradius.make(spec, inradius.ThreatModel), torch.rand(2, 1, 6, 6)
    before = value_digest(threat)
    threat.linear_max(torch.randn(2, 1, 6, 6), x)
    threat.project(torch.randn(2, 1, 6, 6), x)
    assert before == value_digest(threat) == value_digest(inradius.make(spec, inradius.ThreatModel)) is not None
    factors = torch.tensor([0.5, 1.0])
    some = [value_digest(threat.per_example(factors)), value_digest(threat.per_example(2 * factors))]
    assert None not in some
    assert len({before, *some}) == 3


@pytest.mark.parametrize(
    "value",
    [
        lambda: 1, partial(int), len, threading.Lock(), torch.Generator(), random.Random(1), np.random.default_rng(), iter([1]),
        np.array([object()]), torch.eye(2).to_sparse(), type("Sub", (dict,), {})(), type("Sub", (float,), {})(1.0),
        Plain, nn.Linear(2, 2),
        Private(1),
    ],
    ids=[
        "function", "partial", "builtin", "lock", "generator", "random", "numpy_random", "iterator", "objects", "sparse",
        "dict", "float", "class", "module", "private",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("own")
def test_what_attributes_do_not_show_has_no_hash(value):
    assert value_digest(value) is None
    assert value_digest([Plain(held=value)]) is None


@pytest.mark.parametrize(
    "value", [Plain(number=1), Slotted(1), Fields(torch.ones(1)), [Plain()]], ids=["plain", "slots", "attrs", "list"]
)
def test_objects_of_other_peoples_classes_have_no_hash(value):
    """Their code may have changed, or read what no attribute holds."""
    assert value_digest(value) is None


@pytest.mark.usefixtures("own")
def test_an_object_within_itself_has_no_hash():
    value = Plain(number=1)
    value.me = value
    assert value_digest(value) is None
