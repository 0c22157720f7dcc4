"""Bad calls of the Python interface end with one sentence that says what is allowed, and never with a traceback.

One table of what can be wrong with each argument, and every function that takes the argument.
"""

import math

import attrs
import pytest
import torch
from bracket_toys import Corner
from certifier_toys import Slope
from torch import nn
from toy_sets import Cube

import inradius
from inradius import Attack, Certifier, Dataset, InradiusError, Property, ThreatModel

F32, F64 = torch.float32, torch.float64
B, SIZE, CLASSES = 3, 4, 3


class Answer(nn.Module):
    """A linear model whose output is changed on the way out."""

    def __init__(self, change=lambda logits: logits, classes=CLASSES):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.change = nn.Linear(SIZE, classes), change

    def forward(self, x):
        return self.change(self.linear(x))


def fail(logits):
    raise KeyError("head")


X = torch.rand(B, SIZE, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2])

MODELS = {
    "none": None,
    "a string": "mlp(4, 3)",
    "a number": 3,
    "a class": nn.Linear,
    "a tuple out": Answer(lambda out: (out, out)),
    "a dict out": Answer(lambda out: {"scores": out, "others": out}),
    "nothing out": Answer(lambda out: None),
    "one axis out": Answer(lambda out: out[:, 0]),
    "three axes out": Answer(lambda out: out[..., None]),
    "numpy out": Answer(lambda out: out.detach().numpy()),
    "a list out": Answer(lambda out: out.tolist()),
    "integers out": Answer(lambda out: out.long()),
    "another batch out": Answer(lambda out: out[:1]),
    "nan out": Answer(lambda out: out * math.nan),
    "inf out": Answer(lambda out: out / 0),
    "an error": Answer(fail),
    "float64": Answer().double(),
    "float16": Answer().half(),
}
# with a property one output is enough
LOGITS = {"one class": Answer(classes=1), "no class": Answer(lambda out: out[:, :0])}
INPUTS = {
    "none": None,
    "a list": X.tolist(),
    "numpy": X.numpy(),
    "a number": 0.5,
    "a string": "mnist5k",
    "int64": (X * 255).long(),
    "uint8": (X * 255).to(torch.uint8),
    "bool": X > 0.5,
    "complex": X.to(torch.complex64),
    "float64": X.double(),
    "float16": X.half(),
    "bfloat16": X.bfloat16(),
    "nan": torch.where(X[1, 2] == X, math.nan, X),
    "inf": torch.where(X[1, 2] == X, math.inf, X),
    "another length": torch.rand(B, SIZE + 1),
    "one axis more": X[:, None, :, None],
    "no batch axis": X[0],
    "no axis": torch.tensor(0.5),
}
LABELS = {
    "a list": Y.tolist(),
    "numpy": Y.numpy(),
    "a number": 0,
    "a string": "0",
    "float": Y.float(),
    "bool": Y > 0,
    "complex": Y.to(torch.complex64),
    "one-hot": nn.functional.one_hot(Y),
    "a column": Y[:, None],
    "no axis": torch.tensor(0),
    "too few": Y[:2],
    "too many": torch.tensor([0, 1, 2, 0]),
    "none at all": Y[:0],
    "negative": Y - 1,
    "too large": Y + 1,
    "too large uint8": (Y + 250).to(torch.uint8),
    "negative int8": (Y - 2).to(torch.int8),
}
THREATS = {
    "none": None,
    "a spec": "cube(eps=0.1)",
    "a number": 0.1,
    "a class": Cube,
    "an attack": Corner(),
    "a tensor": X,
    "radii of another batch": Cube(eps=0.1).per_example(torch.ones(B + 1)),
}
INDICES = {
    "a list": [0, 1, 2],
    "a range": range(3),
    "a number": 0,
    "float": torch.arange(3.0),
    "bool": torch.ones(3, dtype=torch.bool),
    "too few": torch.arange(2),
    "a column": torch.arange(3)[:, None],
}
PROPERTIES = {
    "a tensor": torch.eye(3),
    "a string": "margins",
    "a tuple": (torch.eye(3), torch.zeros(3)),
    "another width": Property(torch.ones(1, 4), torch.zeros(1)),
    "another batch": Property(torch.ones(2, 1, 3), torch.zeros(2, 1)),
    "more digits": Property(torch.full((1, 3), 0.1, dtype=F64), torch.zeros(1, dtype=F64)),
}
PARTS = {"another word": "all", "none": None, "a flag": True, "a list": ["each"]}
COMPONENTS = {"none": None, "a spec": "slope", "a class": Slope, "a set": Cube(eps=0.1), "a number": 1}
GOALS = {
    "a list": [1, 2, 0],
    "float": torch.tensor([1.0, 2.0, 0.0]),
    "too large": torch.tensor([1, 2, 3]),
    "negative": torch.tensor([1, 2, -1]),
    "too few": torch.tensor([1, 2]),
}
STARTS = {
    "a list": X.tolist(),
    "another shape": torch.zeros(B, SIZE + 1),
    "nan": torch.full((B, SIZE), math.nan),
    "a number": 0.0,
}
TARGETS = {
    "a list": [[1.0, 0.0, 0.0]] * B,
    "labels": Y,
    "another width": torch.full((B, 2), 0.5),
    "another batch": torch.full((2, 3), 0.5),
}
TOLERANCES = {"zero": 0.0, "one": 1.0, "nan": math.nan, "a string": "0.1", "a flag": True, "none": None}
FLAGS = {"a string": "yes", "a number": 1, "none": None}
LEVELS = {"no level": "sure", "not to be asked for": "solver", "a list": ["float"], "a flag": True, "none": None}

GOOD = {"model": Answer(), "x": X, "y": Y, "threat": Cube(eps=0.1)}


def pgd():
    return inradius.make("pgd(steps=2)", Attack)


def crown():
    return inradius.make("crown()", Certifier)


def certify(certifier):
    def call(model, x, y, threat, **options):
        return certifier(model, x, y, threat, **options)

    return call


def look(model, x, threat, certifier=None, y=None, **options):
    return inradius.suspicious(model, x, threat, certifier, **options)


def measure(model, x, y, threat, certifier=None, attack=None, **options):
    return inradius.radii(model, x, y, threat, certifier, attack, **options)


def flag(model, x, y, threat=None):
    return inradius.model_flags(model, x, y)


CERTIFIED = {
    "model": MODELS | LOGITS,
    "x": INPUTS,
    "y": LABELS | {"none": None},
    "threat": THREATS,
    "index": INDICES,
    "union": PARTS,
}
ATTACKED = {"model": MODELS | LOGITS, "x": INPUTS, "y": LABELS | {"none": None}, "threat": THREATS, "index": INDICES}
CALLS = {
    "slope": (certify(Slope()), {}, CERTIFIED | {"prop": PROPERTIES, "claim": LEVELS, "decide": FLAGS}),
    "slope with a property": (
        certify(Slope()),
        {"y": None, "prop": Property(torch.ones(1, 3), torch.zeros(1))},
        {"model": MODELS, "x": INPUTS},
    ),
    "bound": (certify(Slope().bound), {}, CERTIFIED | {"prop": PROPERTIES}),
    "crown": (lambda *given, **options: crown()(*given, **options), {}, CERTIFIED),
    "corner": (certify(Corner()), {}, ATTACKED | {"start": STARTS, "goal": {"not for it": torch.tensor([1, 2, 0])}}),
    "pgd": (
        lambda *given, **options: pgd()(*given, **options),
        {},
        ATTACKED | {"goal": GOALS, "start": STARTS, "targets": TARGETS, "bn_mode": PARTS},
    ),
    "find": (lambda *given, **options: pgd().find(*given, **options), {}, ATTACKED),
    "suspicious": (
        look,
        {"certifier": Slope(), "threat": None},
        {
            "model": MODELS | LOGITS,
            "x": INPUTS,
            "threat": THREATS,
            "index": INDICES,
            "certifier": COMPONENTS,
            "accept_solver": FLAGS,
            "claim": LEVELS,
        },
    ),
    "radii": (
        measure,
        {"certifier": Slope(), "attack": Corner()},
        {
            "model": MODELS | LOGITS,
            "x": INPUTS,
            "y": LABELS | {"none": None},
            "threat": THREATS,
            "index": INDICES,
            "certifier": COMPONENTS,
            "attack": {name: given for name, given in COMPONENTS.items() if given is not None},
            "tolerance": TOLERANCES,
            "accept_solver": FLAGS,
            "claim": LEVELS,
        },
    ),
    "flags": (flag, {}, {"x": INPUTS, "y": LABELS | {"none": None}}),
}
TABLE = [(call, name, case) for call, (_, _, wrong) in CALLS.items() for name in wrong for case in wrong[name]]


@attrs.frozen(kw_only=True)
class Lopsided(Cube):
    """The cube, which does not say that it is symmetric."""

    symmetric = False


def refusal(call, *given, **options):
    """The sentence of a call that is refused."""
    with pytest.raises(InradiusError) as caught:
        call(*given, **options)
    said = str(caught.value)
    assert "\n" not in said
    # how a sentence says what is allowed
    assert any(
        word in said for word in ("allowed", "must", "give ", "needed", "classes", "known here", "did you mean", "can")
    )
    assert not said.endswith(".")
    return said


def test_the_table_is_long():
    assert len(TABLE) >= 190


@pytest.mark.parametrize(("call", "name", "case"), TABLE, ids=lambda part: part.replace(" ", "_"))
def test_a_bad_call_is_refused_in_a_sentence(call, name, case):
    function, given, wrong = CALLS[call]
    arguments = GOOD | given | ({"threat": Cube(eps=0.1)} if call == "suspicious" else {}) | {name: wrong[name][case]}
    refusal(function, **arguments)


@pytest.mark.parametrize("call", CALLS)
def test_the_good_call_is_not(call):
    function, given, _ = CALLS[call]
    function(**(GOOD | given | ({"threat": Cube(eps=0.1)} if call == "suspicious" else {})))


WIDTHS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64)


@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
def test_labels_of_every_integer_type_are_labels(dtype):
    y, given = Y.to(dtype), {name: GOOD[name] for name in ("model", "x", "threat")}
    plain = Slope()(**given, y=Y)
    assert torch.equal(Slope()(**given, y=y).lower, plain.lower)
    assert torch.equal(Slope().bound(**given, y=y), Slope().bound(**given, y=Y))
    assert torch.equal(pgd()(**given, y=y).delta, pgd()(**given, y=Y).delta)
    goal = Y.flip(0)
    assert torch.equal(pgd()(**given, y=Y, goal=goal.to(dtype)).delta, pgd()(**given, y=Y, goal=goal).delta)
    found, known = (measure(**given, y=labels, certifier=Slope(), attack=Corner()) for labels in (y, Y))
    assert torch.equal(found.certified, known.certified)
    assert torch.equal(found.attacked, known.attacked)
    assert inradius.model_flags(GOOD["model"], X, y) == inradius.model_flags(GOOD["model"], X, Y)
    assert torch.equal(Property.margins(y, 3).weights, Property.margins(Y, 3).weights)


@pytest.mark.parametrize("call", CALLS)
def test_no_examples_give_no_answers(call):
    function, given, _ = CALLS[call]
    empty = {"x": X[:0]} | ({} if given.get("y", Y) is None else {"y": Y[:0]})
    threat = {"threat": Cube(eps=0.1)} if call == "suspicious" else {}
    found = function(**(GOOD | given | threat | empty))
    several = attrs.asdict(found, recurse=False).values() if attrs.has(type(found)) else (found,)
    assert all(len(part) == 0 for part in several if isinstance(part, torch.Tensor | tuple))


DATA = Dataset.of(X, Y, bounds=None)
BRACKETS = {
    "model": MODELS | LOGITS,
    "data": {
        "none": None,
        "a spec": "mnist5k",
        "a tuple": (X, Y, Y),
        "a tensor": X,
        "float64": Dataset.of(X.double(), Y, bounds=None),
        "nan": Dataset.of(INPUTS["nan"], Y, bounds=None),
        "integers": Dataset.of(INPUTS["int64"], Y, bounds=None),
        "no examples": DATA.select(slice(0, 0)),
        "negative labels": Dataset.of(X, Y - 1, bounds=None),
        "large labels": Dataset.of(X, Y + 1, bounds=None),
        "another shape": Dataset.of(INPUTS["another length"], Y, bounds=None),
        "labels as a list": attrs.evolve(DATA, labels=[0, 1, 2]),
        "inputs as a list": attrs.evolve(DATA, inputs=X.tolist()),
        "float labels": attrs.evolve(DATA, labels=Y.float()),
        "too few labels": attrs.evolve(DATA, labels=Y[:2], index=torch.arange(2)),
    },
    "threat": {name: given for name, given in THREATS.items() if name != "a spec"}
    | {"an unknown name": "lnif(eps=0.1)"},
    "attacks": {
        "a number": 5,
        "a set": Cube(eps=0.1),
        "a class": Corner,
        "an unknown name": "pdg",
        "twice": [Corner(), Corner()],
    },
    "certifiers": {
        "a number": 5,
        "an attack": [Corner()],
        "a class": Slope,
        "an unknown name": ["crwon"],
        "twice": [Slope(), Slope()],
    },
    "union": PARTS,
    "audit": {"large": 1.5, "negative": -0.1, "nan": math.nan, "a string": "0.1", "a flag": True},
    "exhaustive": FLAGS,
    "accept_solver": FLAGS,
    "claim": LEVELS,
    "optimize_model": FLAGS,
    "votes": {"zero": 0, "negative": -1, "a float": 2.0, "a flag": True, "a string": "3"},
    "fresh": FLAGS,
    "progress": FLAGS,
    "batch_size": {"zero": 0, "negative": -1, "a float": 2.0, "a flag": True, "none": None},
    "seed": {"a float": 1.5, "a string": "0", "none": None, "a flag": False},
    "device": {"unknown": "tpu9", "a number": 5.5, "a list": ["cpu"]},
    "folder": {"a number": 5, "a flag": True},
    "model_name": {"a number": 5},
}


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in BRACKETS for case in BRACKETS[name]],
    ids=lambda part: part.replace(" ", "_"),
)
def test_a_bad_bracket_is_refused_in_a_sentence(tmp_path, name, case):
    given = {
        "model": Answer(),
        "data": DATA,
        "threat": Cube(eps=0.1),
        "attacks": [Corner()],
        "certifiers": [Slope()],
        "folder": tmp_path / "run",
    }
    said = refusal(inradius.bracket, **(given | {name: BRACKETS[name][case]}))
    assert said


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        (Answer(), X.double(), "the inputs are torch.float64 and the model is torch.float32; give both in one type"),
        (Answer().double(), X, "the inputs are torch.float32 and the model is torch.float64; give both in one type"),
    ],
)
@pytest.mark.parametrize("call", ["slope", "bound", "crown", "corner", "pgd", "suspicious", "radii"])
def test_two_types_are_both_named(call, model, x, said):
    function, given, _ = CALLS[call]
    threat = {"threat": Cube(eps=0.1)} if call == "suspicious" else {}
    assert said in refusal(function, **(GOOD | given | threat | {"model": model, "x": x}))


def test_a_set_that_is_not_symmetric_or_no_set_at_all_flags_nothing():
    assert "not symmetric" in refusal(look, Answer(), X, Lopsided(eps=0.1), Slope())
    assert isinstance(Cube(eps=0.1), ThreatModel)
