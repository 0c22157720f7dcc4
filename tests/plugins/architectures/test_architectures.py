"""The networks have the sizes that their papers print, and their pieces compute what they say."""

from importlib.resources import files

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius.stored.checksum import intact
from inradius_architectures import Residual, convolutional, trained
from inradius_architectures.resnet18 import Excitation
from inradius_architectures.shufflenet_v2 import shuffled


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
        # the sizes of the usual forms for small images
        ("resnet18", (3, 32, 32), 10, 11173962),
        ("resnet18(classes=5, norm='group', activation='celu')", (3, 32, 32), 5, 11173962 - 5 * 513),
        ("resnet18(norm='none')", (3, 32, 32), 10, 11173962 - 2 * 4800),
        ("senet18", (3, 32, 32), 10, 11173962 + 2 * sum(2 * w * (w // 16) + w + w // 16 for w in (64, 128, 256, 512))),
        ("vgg16(classes=100)", (3, 32, 32), 100, 14728266 + 90 * 513),
        ("shufflenet_v2", (3, 32, 32), 10, 1263854),
        ("shufflenet_v2(size=0.5)", (3, 32, 32), 10, 352042),
        ("mnist_binarized", (1, 28, 28), 10, 166406),
        ("mlp(784, 20, 3)", (1, 28, 28), 3, 784 * 20 + 20 + 20 * 3 + 3),
        ("mlp(784, 20, 3, activation='celu')", (1, 28, 28), 3, 784 * 20 + 20 + 20 * 3 + 3),
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
        ("mlp(10, 3, activation='tanh')", "activation='tanh' is not allowed; allowed are 'relu', 'celu'"),
        ("mlp(10, 0)", "two or more sizes"),
        ("mlp(10, 2.5)", "two or more sizes"),
        ("wide_resnet(depth=27)", "6n \\+ 4"),
        ("wide_resnet(depth=4)", "6n \\+ 4"),
        ("wide_resnet(classes=1)", "classes ≥ 2"),
        ("preact_resnet18(classes=-1)", "integer ≥ 2"),
        ("resnet18(classes=True)", "integer ≥ 2"),
        ("vgg16(classes=1)", "integer ≥ 2"),
        ("resnet18(norm='layer')", "'batch', 'group', 'none'"),
        ("resnet18(activation='step')", "'relu', 'celu'"),
        ("shufflenet_v2(size=0.7)", "0.5, 1.0, 1.5, 2.0"),
        ("mnist_small(classes=3)", "the parameters are none"),
    ],
)
def test_a_network_that_cannot_be_is_refused(spec, said):
    with pytest.raises(inradius.SpecError, match=said):
        inradius.make(spec, nn.Module)


def test_shuffling_takes_both_halves_in_turn():
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffled(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_excitation_weighs_whole_channels():
    torch.manual_seed(0)
    layer, x = Excitation(32), torch.rand(2, 32, 3, 3) + 0.1
    share = (layer(x) / x).flatten(2)
    assert bool(((share > 0) & (share < 1)).all())
    torch.testing.assert_close(share, share[..., :1].expand_as(share))


def test_binarised_digits_have_the_gradient_of_their_network():
    torch.manual_seed(0)
    model = inradius.make("mnist_binarized", nn.Module).eval()
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    rounded = (x.detach() >= 0.5).float().requires_grad_()
    assert torch.equal(model(x), model[1:](rounded))
    (through,), (at,) = (torch.autograd.grad(net(p).sum(), p) for net, p in ((model, x), (model[1:], rounded)))
    assert torch.equal(through, at)
    assert bool((at != 0).any())


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
