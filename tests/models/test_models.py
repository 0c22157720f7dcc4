"""Models come by name or from a file, weights from files that fit; a fingerprint tells networks apart."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius.data.dataset import Dataset
from inradius.errors import InputError, SpecError
from inradius.models.load import check_forward, find_device, fingerprint, load_model

NETWORK = """
import torch
from neighbour import WIDTH

net = torch.nn.Linear(3, 2)
number = 3

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(WIDTH, 2)

    def forward(self, x):
        return self.layer(x)

def factory():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(WIDTH, 2))

def needs(width):
    return torch.nn.Linear(width, 2)

def no_module():
    return [1, 2]

def leaves():
    raise SystemExit(3)

def fails():
    return 1 / 0
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "neighbour.py").write_text("WIDTH = 3\n")
    path = tmp_path / "net.py"
    path.write_text(NETWORK)
    return path


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    state = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pth")
    torch.save({"state_dict": [state]}, tmp_path / "list.pth")
    return state


def same(model, state):
    return all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["factory", "Net", "net"])
def test_a_model_comes_from_a_file_beside_its_imports(file, name):
    model = load_model(f"{file}:{name}")
    assert model(torch.zeros(4, 3)).shape == (4, 2)
    assert not model.training


def test_a_model_comes_by_name():
    model = load_model("mlp(3, 4, 2)")
    assert model(torch.zeros(5, 3)).shape == (5, 2)
    assert not model.training


@pytest.mark.parametrize("kind", ["w.safetensors", "w.pt", "w.pth", "list.pth"])
def test_weights_fill_the_model(file, tmp_path, weights, kind):
    assert same(load_model(f"{file}:factory", tmp_path / kind), weights)
    assert same(load_model("mlp(3, 2)", str(tmp_path / kind)), weights)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "has no 'absent'; what can be called there is .*factory"),
        ("number", "fails in number.*not callable"),
        ("needs", "fails in needs.*missing 1 required positional argument"),
        ("no_module", "makes a list; allowed is a torch.nn.Module"),
        ("leaves", "fails in leaves.*SystemExit"),
        ("fails", r"fails in fails\(\): ZeroDivisionError in line 29: division by zero"),
    ],
)
def test_a_factory_that_does_not_make_a_model_is_named(file, name, said):
    with pytest.raises(InputError, match=said):
        load_model(f"{file}:{name}")


def test_a_file_that_does_not_run_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*absent\.py"):
        load_model(f"{tmp_path / 'absent.py'}:factory")
    for text, said in [("import absent_package", "ModuleNotFoundError in line 1"), ("def f(:", "SyntaxError")]:
        (tmp_path / "broken.py").write_text(text)
        with pytest.raises(InputError, match=f"does not run: {said}"):
            load_model(f"{tmp_path / 'broken.py'}:f")


def test_a_name_that_makes_no_model_is_refused():
    with pytest.raises(SpecError, match="makes an Objective, but a model is needed"):
        load_model("margin")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mlp(3, 4)", r"1\.weight of shape \(2, 3\) where \(4, 3\) is needed and has 1\.bias of shape"),
        ("mlp(3, 3, 2)", r"lacks 3\.weight, 3\.bias and has 1\.weight of shape"),
        ("mlp(3, 3, 3, 3, 2)", r"lacks 3\.weight, 3\.bias, 5\.weight and 3 more"),
    ],
)
@pytest.mark.parametrize("kind", ["w.safetensors", "w.pt"])
def test_weights_that_do_not_fit_say_where(tmp_path, weights, spec, said, kind):
    with pytest.raises(InputError, match=f"do not fit .*: the file .*{said}"):
        load_model(spec, tmp_path / kind)


def test_weights_with_unknown_names_are_refused(tmp_path, weights):
    save_file(weights | {"more": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match="has the unknown more"):
        load_model("mlp(3, 2)", tmp_path / "more.safetensors")


def test_a_file_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no weights file"):
        load_model("mlp(3, 2)", tmp_path / "absent.pt")
    for name in ("w.safetensors", "w.pt"):
        for content in (b"", b"no weights at all", b"PK\x03\x04"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InputError, match="cannot be read"):
                load_model("mlp(3, 2)", tmp_path / name)
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"allowed are \.safetensors, \.pt and \.pth"):
        load_model("mlp(3, 2)", tmp_path / "w.onnx")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"state_dict": [{}, {}]}, torch.zeros(2)])
def test_a_file_with_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="holds no state dict"):
        load_model("mlp(3, 2)", tmp_path / "w.pt")


def test_weights_never_run_code(tmp_path):
    torch.save(nn.Linear(3, 2), tmp_path / "whole.pt")  # a pickled object, not a state dict
    with pytest.raises(InputError, match="cannot be read"):
        load_model("mlp(3, 2)", tmp_path / "whole.pt")


@pytest.fixture
def reference():
    folder = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not folder:
        pytest.skip("INRADIUS_REFERENCE_DATA names no folder with published weights")
    return Path(folder)


@pytest.mark.parametrize("name", ["mnist_small_linf0.1", "mnist_small_standard", "mnist_small_standard_ours"])
def test_published_weights_fill_the_architecture_they_were_trained_in(reference, name):
    rows = np.loadtxt(reference / "mnist_test100.csv", delimiter=",", dtype=np.float32)
    images, labels = torch.tensor(rows[:, 1:]).view(-1, 1, 28, 28) / 255, torch.tensor(rows[:, 0])
    model = load_model("mnist_small", reference / f"{name}.pth")
    assert (model(images).argmax(1) == labels).float().mean() >= 0.95


def test_the_weights_of_a_cascade_are_not_those_of_one_network(reference):
    with pytest.raises(InputError, match="holds no state dict"):
        load_model("cifar_small", reference / "cifar_small_cascade_linf8px.pth")


def test_an_unknown_device_is_named():
    assert find_device(None) == torch.device("cpu")
    for name in ("nowhere", "cuda:999", "meta:x"):
        with pytest.raises(InputError, match=r"cannot be used here .*; cpu always can"):
            find_device(name)


def test_try_out_names_a_model_that_does_not_go_with_the_data():
    data = Dataset.of(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), name="zeros")
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    check_forward(model, data)
    assert model.training
    with pytest.raises(InputError, match=r"fails on inputs of shape \(1, 3\) from zeros: RuntimeError"):
        check_forward(nn.Linear(4, 2), data)
    with pytest.raises(InputError, match="NaN or infinite"):
        check_forward(nn.Sequential(nn.Linear(3, 2), nn.Threshold(9, float("nan"))), data)
    with pytest.raises(InputError, match="allowed are logits"):
        check_forward(nn.Linear(3, 1), data)


# fingerprints


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))


def test_equal_networks_have_equal_fingerprints():
    assert fingerprint(network()) == fingerprint(network())
    assert fingerprint(network().eval()) == fingerprint(network().train())
    assert len(fingerprint(network())) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model[0].weight.data.view(-1)[3].add_(1e-6),
        lambda model: model[4].bias.data.neg_(),
        lambda model: model[1].running_mean.add_(1e-6),
        lambda model: model.double(),
        lambda model: setattr(model[0], "padding", (1, 1)),
        lambda model: model.append(nn.ReLU()),
    ],
)
def test_any_change_changes_the_fingerprint(change):
    model = network()
    before = fingerprint(model)
    change(model)
    assert fingerprint(model) != before


SCALED = """
import torch

def times(x):
    return x * {factor}

class Scaled(torch.nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return times(x) + self.shift

def low():
    return Scaled(1.0)

def high():
    return Scaled(2.0)
"""


def test_what_no_repr_shows_changes_the_fingerprint(tmp_path):
    def found(place, factor, factory):
        file = tmp_path / place / "net.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(SCALED.format(factor=factor))
        return fingerprint(load_model(f"{file}:{factory}"))

    before = found("here", 2, "low")
    assert found("there", 2, "low") == before
    assert found("here", 2, "high") != before
    assert found("here", 3, "low") != before


def test_memory_layout_does_not_change_the_fingerprint():
    model = network()
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    assert fingerprint(model) == fingerprint(other)


def test_half_precision_has_a_fingerprint():
    assert fingerprint(network().to(torch.bfloat16)) != fingerprint(network().to(torch.float16))


# Normalize


def test_normalize_is_per_channel():
    x = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    layer = inradius.Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0)).double()
    for channel, (mean, std) in enumerate(zip(layer.mean, layer.std, strict=True)):
        assert torch.equal(layer(x)[:, channel], (x[:, channel] - mean) / std)


def test_normalize_takes_one_number_for_all():
    layer = inradius.Normalize(0.5, 0.25)
    assert torch.equal(layer(torch.ones(2, 7)), torch.full((2, 7), 2.0))
    assert torch.equal(layer(torch.ones(2, 1, 3, 3)), torch.full((2, 1, 3, 3), 2.0))
    assert "mean=0.5, std=0.25" in repr(layer)


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        (0.0, 0.0, "std=0.0 is not allowed"),
        ((0.0, 0.0), (1.0, -1.0), "allowed are numbers > 0"),
        ((0.0, 0.0), (1.0, 1.0, 1.0), "mean has 2 channels and std has 3"),
        ((), 1.0, "a finite number"),
        (float("nan"), 1.0, "a finite number"),
    ],
)
def test_normalize_refuses_what_cannot_be(mean, std, said):
    with pytest.raises(InputError, match=said):
        inradius.Normalize(mean, std)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 5, 5), (2, 1, 5, 5)])
def test_normalize_refuses_other_channels(shape):
    with pytest.raises(InputError, match="3 channels"):
        inradius.Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(torch.zeros(shape))
