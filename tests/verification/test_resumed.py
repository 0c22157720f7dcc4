"""A search that goes on from a file gives the answer of one that runs through, wherever it was stopped."""

import os

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius import InputError, Property, make
from inradius.certifiers import search_states
from inradius.certifiers.certificate_in_progress import certificate_in_progress
from inradius.certifiers.search_progress import listening
from inradius.certifiers.search_states import within
from inradius.sets.region import BoxRegion
from inradius_bounds.capture.trace import computation_digest
from inradius_bounds.search.kept_search import KeptSearch

SETS = ("l2(eps=1.0)", "linf(eps=0.45)", "l1(eps=3.0, bounds=(0, 1))")
PIECE = "branch_and_bound(domains=800)"


def network(seed=1, inputs=12, width=40):
    torch.manual_seed(seed)
    layers = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)]
    return nn.Sequential(*layers).eval(), torch.rand(1, inputs)


def difference_above(number):
    return Property(torch.tensor([[[1.0, -1.0]]]), torch.tensor([[number]]))


def near_minimum(model, x, threat, share=0.9):
    """A property that holds, by less than ``crown`` proves."""
    rows = torch.tensor([[[1.0, -1.0]]])
    attack = make("pgd(steps=40, keep_maximising=True)", inradius.Attack)
    outputs = model(x + attack(model, x, torch.tensor([0]), threat).delta).detach()
    reached = float(outputs[0, 0] - outputs[0, 1])
    prop = Property(rows, torch.zeros(1, 1))
    bound = float(make("crown", inradius.Certifier)(model, x, torch.tensor([0]), threat, prop=prop).lower)
    return difference_above(-(bound + share * (reached - bound)))


def in_pieces(model, x, threat, prop, path, certifier=PIECE):
    """The answer of calls with a limit of domains each, and their number."""
    for calls in range(1, 400):
        result = inradius.verify(model, x, threat, prop, timeout=0.6, certifier=certifier, state=path)
        if result.answered:
            return result, calls
        assert path.exists()
    pytest.fail("no answer")


@pytest.mark.parametrize("spec", SETS)
def test_pieces_give_the_answer_of_one_search(spec, tmp_path):
    model, x = network()
    threat = make(spec, inradius.ThreatModel)
    prop = near_minimum(model, x, threat, share=0.75)
    whole = inradius.verify(model, x, threat, prop, timeout=60)
    pieces, calls = in_pieces(model, x, threat, prop, tmp_path / "search")
    assert pieces.status == whole.status == "unsat"
    assert pieces.claim == whole.claim
    # the bounds of parts that are proved are kept
    assert pieces.bound == pytest.approx(whole.bound, abs=0.02)
    assert calls > 1
    assert not (tmp_path / "search").exists()


def test_cells_of_inputs_go_on(tmp_path, monkeypatch):
    model, x = network(3, inputs=5, width=64)
    threat = make("linf(eps=0.4)", inradius.ThreatModel)
    prop = near_minimum(model, x, threat, share=0.7)
    names = []
    keep = search_states.SearchStates.keep
    monkeypatch.setattr(
        search_states.SearchStates,
        "keep",
        lambda self, name, state, **options: (names.extend(state()), keep(self, name, state, **options)),
    )
    whole = inradius.verify(model, x, threat, prop, timeout=60)
    pieces, calls = in_pieces(model, x, threat, prop, tmp_path / "search", "branch_and_bound(domains=10)")
    assert pieces.status == whole.status == "unsat"
    assert calls > 1
    assert "cells.low" in names


def test_an_interrupted_search_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(search_states, "_EVERY", 0.0)
    monkeypatch.setattr(search_states, "_RATIO", 0.0)
    model, x = network()
    threat = make("l2(eps=1.0)", inradius.ThreatModel)
    prop, path = near_minimum(model, x, threat, share=0.85), tmp_path / "search"
    before, after = [], []

    def stop(progress):
        before.append(progress.visited)
        if len(before) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        inradius.verify(model, x, threat, prop, state=path)
    with listening(lambda progress: after.append(progress.visited)):
        assert inradius.verify(model, x, threat, prop, state=path).status == "unsat"
    assert after[0] > before[-2]


def test_parts_of_a_question_have_searches_of_their_own(tmp_path):
    """A search that took the state of another part would count that part's proof as its own."""
    numbers = [torch.zeros(3)]

    def name(member, dtype=torch.float32, claim="float", kind="neurons"):
        with within("member", member), certificate_in_progress(dtype, claim=claim):
            return KeptSearch.of(kind, numbers).name

    with search_states.keeping(search_states.SearchStates(tmp_path / "search", "")):
        names = {name(0), name(1), name(0, torch.float64), name(0, claim="real"), name(0, kind="inputs")}
        assert len(names) == 5
        assert name(0) in names
        assert KeptSearch.of("neurons", numbers).name == ""


def test_members_and_parts_are_searched_under_other_names(tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(KeptSearch, "found", lambda self: places.append((self.name, search_states.search_place())))
    model, x = network(width=24)
    union = make("union(l2(eps=1.0), linf(eps=0.45))", inradius.ThreatModel)
    prop = near_minimum(model, x, make("linf(eps=0.45)", inradius.ThreatModel), share=0.9)
    inradius.verify(model, x, union, prop, timeout=1, certifier=PIECE, state=tmp_path / "search")
    found = {place.partition("/network/") for _, place in places}
    assert {first for first, _, _ in found} == {f"question/0/member/{number}/example/0" for number in (0, 1)}
    assert {len(digest) for _, _, digest in found} == {64}


class Buffered(nn.Module):
    """A network that reads its weights' buffer in a way that the buffer's numbers do not tell."""

    def __init__(self, kind, second):
        super().__init__()
        self.net, self.kind, self.second = network(width=8)[0], kind, second
        numbers = torch.tensor([[1.0, 1.001], [1.002, 1.003]])
        self.register_buffer("table", numbers.T.contiguous().T if second else numbers)

    def forward(self, x):
        if self.kind == "file":
            return self.net(x) * torch.from_file(self.second, size=1)
        return self.net(x) * torch.as_strided(self.table, (1,), (1,), 1)


@pytest.mark.parametrize("kind", ["file", "strided"])
def test_a_network_whose_calls_do_not_tell_its_numbers_has_no_hash(kind, tmp_path):
    (tmp_path / "numbers").write_bytes(torch.ones(1).numpy().tobytes())
    for second in (str(tmp_path / "numbers"), ""):
        if kind == "strided" or second:
            with certificate_in_progress(torch.float32):
                assert computation_digest(Buffered(kind, second).eval(), torch.full((1, 12), 0.5)) is None


def test_sets_of_one_spec_with_other_supports_are_searched_anew(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(KeptSearch, "found", lambda self: names.append(self.name))
    model, x = network(width=24)
    prop = near_minimum(model, x, make("linf(eps=0.45)", inradius.ThreatModel), share=0.9)
    certifier = make("branch_and_bound(domains=3)", inradius.Certifier)
    for eps in (0.45, 0.45, 0.4500001):
        with search_states.keeping(search_states.SearchStates(tmp_path / "search", "")):
            certifier(model, x, None, make(f"linf(eps={eps})", inradius.ThreatModel), prop=prop, decide=True)
    assert len(names) == 3
    assert names[0] == names[1] != names[2]


@attrs.frozen(eq=False)
class Held(BoxRegion):
    """A box that a stranger has made, and that holds more than its corners."""

    points: object = None

    def select(self, index):
        return Held(self.low[index], self.high[index], self.points)


def test_a_strangers_set_is_searched_anew(tmp_path, monkeypatch):
    """Its numbers and its code may have changed where nothing shows it."""
    names = []
    monkeypatch.setattr(KeptSearch, "found", lambda self: names.append(self.name))
    model, x = network(width=24)
    prop = near_minimum(model, x, make("linf(eps=0.45)", inradius.ThreatModel), share=0.9)
    certifier = make("branch_and_bound(domains=3)", inradius.Certifier)
    low, high = torch.full((1, 12), -0.45), torch.full((1, 12), 0.45)
    for threat in (BoxRegion(low, high), BoxRegion(low, high), Held(low, high), Held(low, high)):
        with search_states.keeping(search_states.SearchStates(tmp_path / "search", "")):
            certifier(model, x, None, threat, prop=prop, decide=True)
    assert len(names) == 4
    assert names[0] == names[1]
    assert len(set(names)) == 3


class Computed(nn.Module):
    """A network with a constant that depends on how the machine computes."""

    def __init__(self):
        super().__init__()
        self.net = network(width=8)[0]
        self.register_buffer("small", torch.tensor(1e-38))

    def forward(self, x):
        return self.net(x) + (self.small * 0.01 > 0).to(x.dtype)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this machine does not flush subnormal numbers")
def test_constants_that_a_run_computes_count_by_their_numbers():
    x, found = torch.full((1, 12), 0.5), []
    try:
        for flush in (False, False, True):
            torch.set_flush_denormal(flush)
            with certificate_in_progress(torch.float32):
                found.append(computation_digest(Computed().eval(), x))
    finally:
        torch.set_flush_denormal(False)
    assert found[0] == found[1] != found[2]
    assert None not in found


class Hidden(nn.Module):
    """A network with a number that its class, its parameters and its plain attributes do not show."""

    def __init__(self, kind, number):
        super().__init__()
        self.net, self.kind = network(width=8)[0], kind
        if kind == "tensor":
            self.scale = torch.tensor(number)
        elif kind == "function":
            self.scale = lambda outputs: outputs * number
        elif kind == "dict":
            self.scale = {"factor": number}
        elif kind == "underscore":
            self._scale = number
        else:
            self.net[4].register_forward_hook(lambda module, given, outputs: outputs * number)

    def forward(self, x):
        outputs = self.net(x)
        match self.kind:
            case "tensor":
                return outputs * self.scale
            case "function":
                return self.scale(outputs)
            case "dict":
                return outputs * self.scale["factor"]
            case "underscore":
                return outputs * self._scale
        return outputs


@pytest.mark.parametrize("kind", ["tensor", "function", "dict", "underscore", "hook"])
@pytest.mark.parametrize("inputs", [12, 4])
def test_the_search_of_another_network_is_not_gone_on_with(kind, inputs, tmp_path, monkeypatch):
    """Also where nothing of the file's question shows the difference; 4 inputs are split themselves."""
    names = []
    found = KeptSearch.found
    monkeypatch.setattr(KeptSearch, "found", lambda self: names.append(self.name) or found(self))
    x = torch.full((1, 12), 0.5)
    half = torch.cat([torch.full((1, inputs), 0.3), torch.zeros(1, 12 - inputs)], dim=1)
    threat = BoxRegion(-half, half)
    certifier = make("branch_and_bound(domains=3)", inradius.Certifier)
    bound = make("crown", inradius.Certifier)(
        Hidden(kind, 1.0).eval(), x, None, threat, prop=difference_above(0.0)
    ).lower
    prop = difference_above(-float(bound) - 0.001)
    for number in (1.0, 1.001, 1.001):
        with search_states.keeping(search_states.SearchStates(tmp_path / "search", "")):
            certifier(Hidden(kind, number).eval(), x, None, threat, prop=prop, decide=True)
    assert len(names) == 3
    assert names[0] != names[1] == names[2]


@pytest.mark.parametrize("change", ["model", "set", "property", "claim", "input"])
def test_the_state_of_another_question_is_refused(change, tmp_path):
    model, x = network()
    threat, path = "l2(eps=1.0)", tmp_path / "search"
    prop = near_minimum(model, x, make(threat, inradius.ThreatModel), share=0.85)
    asked = {"model": model, "x": x, "threat": threat, "prop": prop, "claim": "float"}
    assert not inradius.verify(**asked, timeout=0.5, certifier=PIECE, state=path).answered
    other = {
        "model": {"model": network(2)[0]},
        "set": {"threat": "l2(eps=1.01)"},
        "property": {"prop": moved(prop)},
        "claim": {"claim": "real"},
        "input": {"x": x * 0.999},
    }[change]
    with pytest.raises(InputError, match="another question"):
        inradius.verify(**(asked | other), certifier=PIECE, state=path)
    assert path.exists()


def moved(prop):
    return Property(prop.weights, prop.offsets - 0.001)


def test_what_is_no_state_is_refused_in_a_sentence(tmp_path):
    model, x = network()
    threat, path = "l2(eps=1.0)", tmp_path / "search"
    prop = near_minimum(model, x, make(threat, inradius.ThreatModel), share=0.85)
    asked = {"timeout": 0.5, "certifier": PIECE}
    inradius.verify(model, x, threat, prop, **asked, state=path)
    content = path.read_bytes()
    one_bit = content[:200] + bytes([content[200] ^ 4]) + content[201:]
    # a file without a checksum is none of a search
    unsealed = content.replace(b"inradius_sha256", b"inradius_shb256")
    for damaged in (content[:-7], one_bit, unsealed, b"", b"no tensors"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            inradius.verify(model, x, threat, prop, **asked, state=path)
    for wrong, told in ((tmp_path, "names no file"), (3, "names no file"), (path / "below", "cannot be written")):
        with pytest.raises(InputError, match=told):
            inradius.verify(model, x, threat, prop, **asked, state=wrong)
    with pytest.raises(InputError, match="has no spec"):
        inradius.verify(model, x, BoxRegion(-torch.ones(1, 12), torch.ones(1, 12)), prop, **asked, state=path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_that_cannot_be_written_is_told_before_the_search(tmp_path):
    tmp_path.chmod(0o500)
    model, x = network()
    with pytest.raises(InputError, match="cannot be written"):
        inradius.verify(model, x, "l2(eps=1.0)", difference_above(0.0), state=tmp_path / "search")


def test_a_full_disk_costs_the_state_and_not_the_answer(tmp_path, monkeypatch):
    def full(path, content):
        raise inradius.errors.StorageError(f"{path} cannot be written; make room")

    monkeypatch.setattr(search_states, "write_atomic", full)
    model, x = network()
    threat = make("l2(eps=1.0)", inradius.ThreatModel)
    prop = near_minimum(model, x, threat, share=0.85)
    with pytest.warns(UserWarning, match="cannot be resumed later"):
        found = inradius.verify(model, x, threat, prop, timeout=0.5, certifier=PIECE, state=tmp_path / "search")
    assert not found.answered
