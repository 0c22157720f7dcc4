"""Batches shrink where the memory does not suffice, and the results are those of whole batches."""

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Refuter, cloud, linear, run
from torch import nn

import inradius
from inradius.bracketing.store import RESULTS
from inradius.models.memory import of_memory
from inradius.stored.reading import records

# the rows at once that there is memory for, and the sizes that were tried
ROOM = {"rows": 10**9, "tried": []}
ERRORS = {
    "a device": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch on a CPU": lambda: RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    "Python": lambda: MemoryError(),
}


def take(x, error):
    ROOM["tried"].append(len(x))
    if len(x) > ROOM["rows"]:
        raise error()


@attrs.frozen(kw_only=True)
class Hungry(Corner):
    """The corner, for as many examples at once as there is memory for."""

    error: str = "a device"

    def perturb(self, batch, *, observe=None):
        take(batch.x, ERRORS[self.error])
        return super().perturb(batch, observe=observe)


@attrs.frozen(kw_only=True)
class HungryProof(Refuter):
    def lower_bound(self, model, x, threat, prop, rng):
        take(x, ERRORS["Python"])
        return super().lower_bound(model, x, threat, prop, rng)


class HungryModel(nn.Linear):
    def forward(self, x):
        take(x, ERRORS["torch on a CPU"])
        return super().forward(x)


@pytest.fixture
def room():
    def leave(rows):
        ROOM.update(rows=rows, tried=[])

    yield leave
    ROOM.update(rows=10**9, tried=[])


def lines(folder):
    return [record | {"seconds": 0} for record in records(folder / RESULTS)]


@pytest.mark.parametrize("error", ERRORS)
def test_an_attack_in_parts_finds_what_it_finds_in_batches(tmp_path, room, error):
    asked = {"attacks": [Hungry(error=error)], "certifiers": [Exact(loss=0.3)]}
    whole = run(tmp_path / "whole", **asked)
    room(3)
    assert run(tmp_path / "parts", **asked) == whole
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    # what did not fit is not tried again
    assert [size for size in ROOM["tried"] if size > 3] == sorted({s for s in ROOM["tried"] if s > 3}, reverse=True)


def test_certifiers_with_witnesses_and_models_shrink_too(tmp_path, room):
    model = HungryModel(5, 3, dtype=torch.float64)
    model.load_state_dict(linear().state_dict())
    asked = {"model": model, "attacks": [Corner()], "certifiers": [HungryProof()], "exhaustive": True}
    whole = run(tmp_path / "whole", **asked)
    assert whole.counts["attacked"] > 0
    room(5)
    parts = run(tmp_path / "parts", **asked)
    assert parts == whole
    assert all(parts.deltas[row].equal(delta) for row, delta in whole.deltas.items())
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")


def test_where_one_example_is_too_much_a_sentence_says_so(tmp_path, room):
    room(0)
    with pytest.raises(inradius.UnsupportedError, match=r"hungry\(\) has not enough memory for one example \(CUDA out"):
        run(tmp_path, attacks=[Hungry()], certifiers=[])


def test_other_errors_are_no_lack_of_memory():
    assert all(of_memory(make()) for make in ERRORS.values())
    assert not any(map(of_memory, (RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x"))))
    with pytest.raises(inradius.InputError, match="cannot take"):
        inradius.bracket(nn.Linear(4, 3).double(), cloud(), Cube(eps=0.1), attacks=[], certifiers=[])
