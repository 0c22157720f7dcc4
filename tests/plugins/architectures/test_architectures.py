"""The networks have the sizes that their papers print, and their pieces compute what they say."""

from importlib.resources import files

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius.stored.checksum import intact
from inradius_architectures import Residual, convolutional, trained


def hidden_units(model, x):
    counts = []
    hooks = [
        layer.register_forward_hook(lambda *call: counts.append(call[2][0].numel()))
        for layer in model.modules()
        if isinstance(layer, nn.ReLU)
    ]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# Table 3.4 of the thesis. It prints 28064 hidden units for the large MNIST network, but four convolutions of 32, 32, 64
# and 64 filters whose parameters add up to the printed 1974762 have 48064 (60 · 28² + 1024); CIFAR's 60 · 32² + 1024 agrees.
@pytest.mark.parametrize(
    ("spec", "shape", "units", "count"),
    [
        ("mnist_small()", (1, 28, 28), 4804, 166406),
        ("cifar_small()", (3, 32, 32), 6244, 214918),
        ("mnist_large()", (1, 28, 28), 48064, 1974762),
        ("cifar_large()", (3, 32, 32), 62464, 2466858),
        ("mnist_resnet()", (1, 28, 28), 82536, 3254562),
        ("cifar_resnet()", (3, 32, 32), 107496, 4214850),
    ],
)
def test_thesis_networks_have_the_printed_sizes(spec, shape, units, count):
    model = inradius.make(spec, nn.Module)
    x = torch.rand(2, *shape)
    assert hidden_units(model, x) == units
    assert parameters(model) == count
    assert model(x).shape == (2, 10)


@pytest.mark.parametrize(
    ("spec", "shape", "classes", "count"),
    [
        ("mnist_cnn", (1, 28, 28), 10, 3274634),
        ("preact_resnet18", (3, 32, 32), 10, 11172170),
        ("preact_resnet18(classes=100)", (3, 32, 32), 100, 11218340),
        ("wide_resnet(depth=10, width=1)", (3, 32, 32), 10, 77850),
        ("mlp(784, 20, 3)", (1, 28, 28), 3, 784 * 20 + 20 + 20 * 3 + 3),
    ],
)
def test_networks_have_their_sizes_and_classes(spec, shape, classes, count):
    model = inradius.make(spec, nn.Module).eval()
    assert model(torch.rand(1, *shape)).shape == (1, classes)
    assert parameters(model) == count


def test_wide_resnet_28_10_has_the_size_of_its_paper():
    with torch.device("meta"):
        model = inradius.make("wide_resnet", nn.Module)
    assert parameters(model) == 36479194  # 36.5 million, table 4
    assert sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in model.modules()) == 25


def test_convolutions_start_with_the_variance_of_their_fan_out():
    torch.manual_seed(0)
    for layer in convolutional.cifar_large().modules():
        if isinstance(layer, nn.Conv2d):
            variance = 2 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels)
            assert layer.weight.var().item() == pytest.approx(variance, rel=0.2)
            assert not layer.bias.any()


def test_equal_seeds_give_equal_networks():
    torch.manual_seed(3)
    first = convolutional.mnist_small().state_dict()
    torch.manual_seed(3)
    second = convolutional.mnist_small().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_residual_adds_its_paths():
    x = torch.randn(4, 5, dtype=torch.float64)
    body = nn.Linear(5, 5).double()
    skip = nn.Linear(5, 5).double()
    assert torch.equal(Residual(body)(x), body(x) + x)
    assert torch.equal(Residual(body, skip)(x), body(x) + skip(x))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mlp(10)", "two or more sizes"),
        ("mlp(10, 0)", "two or more sizes"),
        ("mlp(10, 2.5)", "two or more sizes"),
        ("wide_resnet(depth=27)", "6n \\+ 4"),
        ("wide_resnet(depth=4)", "6n \\+ 4"),
        ("wide_resnet(classes=1)", "classes ≥ 2"),
        ("preact_resnet18(classes=-1)", "integer ≥ 2"),
        ("mnist_small(classes=3)", "the parameters are none"),
    ],
)
def test_a_network_that_cannot_be_is_refused(spec, said):
    with pytest.raises(inradius.SpecError, match=said):
        inradius.make(spec, nn.Module)


def test_weights_that_are_not_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "files", lambda package: tmp_path)
    with pytest.raises(inradius.UnsupportedError, match="mnist_small_standard are not in this installation"):
        trained.mnist_small_standard()


def test_shipped_networks_are_read_from_their_files(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    model = convolutional.mnist_small()
    save_file(model.state_dict(), tmp_path / "weights" / "mnist_small_certified.safetensors")
    monkeypatch.setattr(trained, "files", lambda package: tmp_path)
    again = trained.mnist_small_certified().state_dict()
    assert all(torch.equal(weights, again[name]) for name, weights in model.state_dict().items())


@pytest.mark.parametrize(
    "path", sorted((files("inradius_architectures") / "weights").glob("*.safetensors")), ids=lambda path: path.stem
)
def test_shipped_weights_carry_their_checksum(path):
    assert intact(path.read_bytes())
