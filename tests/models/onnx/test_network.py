"""The module that is read: its batches, weights, types, copies and identity, and its place in every command."""

import copy

import numpy as np
import pytest
import torch
from onnx import numpy_helper
from onnx_cases import agrees, exported
from onnx_models import models
from onnx_nodes import Case, save

import inradius
from inradius.cli import run
from inradius.errors import UnsupportedError
from inradius.models.fingerprint import fingerprint
from inradius.models.load import load_model
from inradius.models.onnx.read import read_onnx

MODELS = models()
NAMES = ("cnn", "resnet", "lstm", "vit", "encoder", "rnn relu", "unet bilinear")


@pytest.fixture
def written(tmp_path):
    """Writes a network of the list as ``net.onnx`` and returns the file."""

    def write(name, **options):
        model, shape = MODELS[name]
        return exported(model, torch.randn(1, *shape), tmp_path / "net.onnx", opset_version=17, **options)

    return write


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_their_examples(name, written):
    model = read_onnx(written(name)).double()
    x = torch.randn(4, *model.input_shape, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(x), torch.cat([model(row[None]) for row in x]), rtol=1e-10, atol=1e-10)
        assert model(x).shape == (4, *model.output_shape)
        assert model(x)[0].numel() == model.outputs


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_those_of_a_state_dict_and_are_learned(name, written):
    model = read_onnx(written(name))
    other = copy.deepcopy(model)
    x = torch.randn(2, *model.input_shape)
    model(x).square().sum().backward()
    assert all(value.grad is not None for value in model.parameters())
    assert sum(value.numel() for value in model.parameters()) > 20
    with torch.no_grad():
        for value in model.parameters():
            value -= 0.01 * value.grad
        assert not torch.equal(model(x), other(x))
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(x), other(x))
        assert model.half().double()(x.double()).dtype == torch.float64


def test_a_fingerprint_tells_graphs_and_weights_apart(tmp_path):
    def net(activation, weight):
        case = Case(None, 17)
        out = case.add(activation, case.add("MatMul", "x", case.store(np.full((2, 2), weight, dtype=np.float32))))
        return fingerprint(read_onnx(save(case.model([2], out), tmp_path / "net.onnx")))

    found = [net("Relu", 1), net("Tanh", 1), net("Relu", 2)]
    assert len(set(found)) == 3
    assert net("Relu", 1) == found[0]


def test_constants_within_nodes_tell_networks_apart(tmp_path):
    def net(number):
        case = Case(None, 17)
        value = case.add("Constant", value=numpy_helper.from_array(np.array(number, dtype=np.float32)))
        return fingerprint(read_onnx(save(case.model([2], case.add("Pow", "x", value)), tmp_path / "net.onnx")))

    assert net(2) != net(3)


@pytest.mark.parametrize(
    ("shape", "free", "node"),
    [
        ((4,), True, ("Reshape", [1, -1])),
        ((4,), False, ("Squeeze", [0])),
        ((4,), True, ("Squeeze", [0])),
        ((4,), False, ("Tile", [2, 1])),
        ((4, 4), True, ("Reshape", [2, -1])),
        ((4,), False, ("Slice", [0], [1], [0])),
    ],
)
def test_examples_that_are_mixed_are_refused(shape, free, node, tmp_path):
    case = Case(None, 17)
    op, *numbers = node
    model = case.model(list(shape), case.add(op, "x", *map(case.ints, numbers)), free=free)
    if op == "Slice" and not free:
        # the only example as a whole
        agrees(save(model, tmp_path / "net.onnx"))
        return
    with pytest.raises(UnsupportedError, match="examples"):
        read_onnx(save(model, tmp_path / "net.onnx"))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4)])
def test_a_file_without_an_axis_of_examples_is_one_example(shape, tmp_path):
    case = Case(None, 17)
    x = (
        case.add("Add", "x", case.store(np.arange(3 * 5, dtype=np.float32).reshape(5, 1, 3)[:, :, : shape[-1]]))
        if len(shape) == 1
        else "x"
    )
    x = case.add("Softmax", case.add("Concat", x, x, axis=0), axis=-1)
    x = case.add("Transpose", case.add("Slice", x, case.ints([1]), case.ints([3]), case.ints([0])))
    x = case.add("Reshape", case.add("Unsqueeze", x, case.ints([0, 2])), case.ints([-1]))
    model = case.model(list(shape), x)
    del model.graph.input[0].type.tensor_type.shape.dim[0]
    network = agrees(save(model, tmp_path / "net.onnx"))
    assert network.input_shape == shape


def test_words_are_looked_up(tmp_path):
    layers = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Flatten(), torch.nn.Linear(12, 2))
    file = exported(layers, torch.ones(1, 3, dtype=torch.int64), tmp_path / "net.onnx", opset_version=17)
    assert agrees(file, torch.randint(0, 10, (4, 3))).dtype == torch.int64


def test_every_command_takes_an_onnx_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    exported(net, torch.randn(1, 1, 4, 4), tmp_path / "net.onnx", opset_version=17)
    np.savez(
        "data.npz", inputs=np.random.default_rng(0).random((8, 1, 4, 4), dtype=np.float32), labels=np.arange(8) % 3
    )
    asked = ["--model", "net.onnx", "--data", "npz:data.npz", "--threat", "linf(eps=0.01)"]
    attack, proof = ["--attack", "pgd(steps=2)"], ["--certifier", "crown"]
    assert run(["bracket", *asked, *attack, *proof, "--out", "bracket"]) == 0
    assert run(["attack", *asked, *attack]) == 0
    assert run(["certify", *asked, *proof]) == 0
    surrogate = ["--attack", "transfer(attack=pgd(steps=2), model='net.onnx')"]
    assert run(["attack", *asked, *surrogate]) == 0
    assert run(["train", "standard", *asked, "--epochs", "1", "--device", "cpu", "--out", "trained"]) == 0
    assert run(["attack", *asked, "--weights", "trained/best.safetensors", *attack]) == 0
    capsys.readouterr()
    (tmp_path / "net.onnx").write_bytes(b"damaged")
    assert run(["certify", *asked, *proof]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: net.onnx cannot be read as ONNX")
    assert said.count("\n") == 1


def test_the_class_of_a_read_network_is_a_module(written):
    model = load_model(str(written("cnn")))
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    assert "(3, 8, 8) -> (10,)" in repr(model)
    assert inradius.load_model(str(written("cnn"))).dtype == torch.float32


@pytest.mark.parametrize("name", [*NAMES, "mask", "windowed", "gru state", "padded", "unet nearest", "prelu", "moves"])
def test_nothing_is_made_on_another_device(name, written):
    model = read_onnx(written(name)).to("meta")
    with torch.no_grad():
        found = model(torch.empty(3, *model.input_shape, device="meta"))
    assert found.device.type == "meta"
    assert found.shape == (3, *model.output_shape)
