"""Every form of the same data gives the same examples; what is stated of features is taken, and nothing is guessed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import inradius
from inradius import InputError, as_dataset

X = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 1, 0])


class Rows:
    def __init__(self, row):
        self.row = row

    def __len__(self):
        return len(X)

    def __getitem__(self, place):
        if not 0 <= place < len(X):
            raise IndexError
        return self.row(place)


FORMS = {
    "tensors": lambda: as_dataset(X, Y),
    "a pair": lambda: as_dataset((X, Y)),
    "arrays": lambda: as_dataset(X.numpy().astype(np.float64), Y.numpy()),
    "lists": lambda: as_dataset(X.tolist(), Y.tolist()),
    "a list of tensors": lambda: as_dataset(list(X), list(Y)),
    "a data set": lambda: as_dataset(TensorDataset(X, Y)),
    "a data set of dicts": lambda: as_dataset(Rows(lambda n: {"image": X[n], "label": int(Y[n]), "id": "n"})),
    "named entries": lambda: as_dataset(Rows(lambda n: {"a": X[n], "b": Y[n]}), "b", inputs="a"),
    "a loader": lambda: as_dataset(DataLoader(TensorDataset(X, Y), batch_size=2)),
    "a loader of dicts": lambda: as_dataset(
        DataLoader(Rows(lambda n: {"pixel_values": X[n], "labels": Y[n]}), batch_size=3)
    ),
    "a dict": lambda: as_dataset({"x": X, "y": Y}),
    "batches": lambda: as_dataset((X[n : n + 2], Y[n : n + 2]) for n in (0, 2, 4)),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_are_one(form):
    found = FORMS[form]()
    assert torch.equal(found.inputs, X)
    assert torch.equal(found.labels, Y)
    assert found.bounds == (0.0, 1.0)


def test_bytes_are_scaled_and_the_name_says_so():
    pixels = torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8)
    found = as_dataset(pixels, Y, name="mine")
    assert torch.equal(found.inputs, pixels.float() / 255)
    assert found.name == "mine (bytes divided by 255)"
    assert "bytes" not in as_dataset(X, Y).name


def test_features_have_no_box_but_one_that_is_given():
    assert as_dataset(X.flatten(1), Y).bounds is None
    assert as_dataset(X.flatten(1), Y, bounds=(-1.0, 1.0)).bounds == (-1.0, 1.0)
    assert as_dataset(X, Y, bounds=None).bounds is None
    assert as_dataset(X.double(), Y).inputs.dtype == torch.float64


def frame(**attrs):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(
        {"age": [30, 40, 50], "income": [1.5, 2.5, 0.5], "married": [True, False, True], "y": [0, 1, 0]}
    )
    table.attrs.update(attrs)
    return table


def test_a_table_with_its_statements(tmp_path):
    stated = {"married": (0, 1), "age": (18, 99), "income": (0, 10)}
    table = frame(bounds=stated, immutable=["age"])
    found = as_dataset(table, "y", mask=tmp_path / "free.npy")
    assert found.inputs.tolist() == [[30, 1.5, 1], [40, 2.5, 0], [50, 0.5, 1]]
    assert found.labels.tolist() == [0, 1, 0]
    low, high = found.bounds
    assert (low.tolist(), high.tolist()) == ([18, 0, 0], [99, 10, 1])
    assert np.load(tmp_path / "free.npy").tolist() == [0, 1, 1]
    assert as_dataset(frame(), "y").bounds is None
    assert as_dataset(frame().drop(columns="y"), [0, 1, 0]).labels.tolist() == [0, 1, 0]


def test_the_stated_table_is_attacked_within_its_statements(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = frame(bounds={"age": (18, 99), "income": (0, 10), "married": (0, 1)}, immutable=["age"])
    data = as_dataset(table, "y", mask="free.npy")
    threat = inradius.sets.Linf(eps=0.3, bounds=[side.tolist() for side in data.bounds], mask="free.npy")
    found = inradius.attack(torch.nn.Linear(3, 2), data.inputs, data.labels, threat, "pgd(steps=3)")
    assert not found.delta[:, 0].any()
    assert found.delta[:, 1].any()
    moved = data.inputs + found.delta
    assert bool(((moved >= data.bounds[0]) & (moved <= data.bounds[1])).all())


def test_what_scikit_learn_returns():
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    bunch = sklearn.load_breast_cancer()
    for found in (as_dataset(bunch), as_dataset(sklearn.load_breast_cancer(return_X_y=True))):
        assert found.inputs.shape == (569, 30)
        assert found.bounds is None
        assert torch.equal(found.labels, torch.from_numpy(bunch.target).long())


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: as_dataset(X), "the data are a Tensor without labels; allowed are as_dataset"),
        (lambda: as_dataset(3), "the data are a int without labels"),
        (lambda: as_dataset("images"), "the data are a str without labels"),
        (lambda: as_dataset(X, Y[:3]), "has 5 inputs and labels of shape"),
        (lambda: as_dataset(X, ["a"] * 5), "the labels are <U1 .*; allowed are numbers"),
        (lambda: as_dataset([[1.0], [1.0, 2.0]], [0, 1]), "lists of several lengths"),
        (lambda: as_dataset([X[0], X[0, :, :2]], [0, 1]), "the inputs have shapes .* resize them first"),
        (lambda: as_dataset([(X[0], 1, 2)]), "the data give a tuple of 3 at a time"),
        (lambda: as_dataset([]), "the list is empty"),
        (lambda: as_dataset({"u": X, "y": Y}), "have the entries 'u', 'y', none that is known; name the inputs by"),
        (lambda: as_dataset({"x": X, "image": X, "y": Y}), "several that could be meant; name the inputs"),
        (lambda: as_dataset({"x": X, "y": Y}, "z"), "no 'z'; name the labels by labels="),
        (lambda: as_dataset(X, Y, mask="m.npy"), "mask is given beside data that are no table"),
        (lambda: as_dataset(iter([(X[:2], Y[:2]), (X[:2, :, :3], Y[:2])])), "of the batches have shapes"),
        (lambda: as_dataset(frame(), "z"), "labels='z' is no column of the table; allowed are age"),
        (lambda: as_dataset(frame()), "labels=None is no column of the table"),
        (lambda: as_dataset(frame().assign(city="x"), "y"), "the columns city are no numbers"),
        (lambda: as_dataset(frame().assign(age=[1, None, 2]), "y"), "the columns age have missing values"),
        (lambda: as_dataset(frame(bounds={"age": (1, 2)}), "y"), "states bounds of age; allowed is a dict"),
        (lambda: as_dataset(frame(bounds=dict.fromkeys(("age", "income", "married"), 1)), "y"), "no pairs of numbers"),
        (lambda: as_dataset(frame(bounds=dict.fromkeys(("age", "income", "married"), (1, 1))), "y"), "low ≥ high"),
        (lambda: as_dataset(frame(immutable=["age"]), "y"), "age are immutable; give mask='FILE.npy'"),
        (lambda: as_dataset(frame(immutable=["sex"]), "y"), "states sex as immutable; allowed is a list of"),
        (lambda: as_dataset(frame(), "y", mask="m.npy"), "the table states no attrs"),
    ],
)
def test_refusals(ask, said):
    with pytest.raises(InputError, match=said):
        ask()


def test_a_namespace_is_refused():
    with pytest.raises(InputError, match="SimpleNamespace without labels"):
        as_dataset(SimpleNamespace(data=X, target=Y))


def test_a_bracket_takes_pairs_and_loaders(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    given = [
        as_dataset(X, Y),
        (X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=2),
        TensorDataset(X, Y),
        {"x": X, "y": Y},
    ]
    asked = {"attacks": "fgsm", "certifiers": "interval"}
    found = [
        inradius.bracket(model, data, "linf(eps=0.05)", folder=tmp_path / str(n), **asked)
        for n, data in enumerate(given)
    ]
    assert all(report.examples == found[0].examples for report in found)


def test_bytes_have_the_box_of_their_quotients():
    given = (X * 255).byte()
    with pytest.raises(InputError, match="bounds above 1 are given beside bytes, which are divided by 255"):
        as_dataset(given, Y, bounds=(0, 255))
    assert as_dataset(given, Y, bounds=(0, 1)).inputs.max() <= 1


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV"])
def test_pictures_of_other_modes_are_colours(mode):
    image = pytest.importorskip("PIL.Image")
    colours = image.fromarray(np.full((4, 4, 3), (250, 10, 10), dtype=np.uint8)).convert(mode)
    found = as_dataset([colours], [0]).inputs[0]
    assert found.shape == (3, 4, 4)
    assert (found[0] > 0.9).all()
    assert found[1:].mean() < 0.1


class Endless(IterableDataset):
    """Batches to go through, with a count."""

    def __len__(self):
        return 2

    def __iter__(self):
        return iter([(X[:3], Y[:3]), (X[3:], Y[3:])])


def test_data_to_go_through_may_have_a_length():
    assert torch.equal(as_dataset(Endless()).inputs, X)


def test_what_holds_no_numbers_is_one_sentence():
    with pytest.raises(InputError, match=r"the inputs are torch\.complex64; allowed are real numbers"):
        as_dataset(X.to(torch.complex64), Y)
    with pytest.raises(
        InputError, match=r"the inputs of data are a ndarray; allowed is a tensor, and inradius\.as_dataset"
    ):
        inradius.Dataset.of(X.numpy(), Y)
    with pytest.raises(InputError, match="the labels of data are a list"):
        inradius.Dataset.of(X, Y.tolist())
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1.0, 2.0, 0]], columns=["a", "a", "y"])
    with pytest.raises(InputError, match="the table has columns of one name"):
        as_dataset(table, "y")
