"""Saliency maps against autograd, and the laws of each: slopes, means of slopes, and entries that add up."""

import sys

import pytest
import torch
from torch import nn

import inradius
from inradius import InputError, UnsupportedError


def network(dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.Softplus(), nn.Linear(24, 4)).to(dtype)


def images(count=6, dtype=torch.float64):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def slopes(model, x, y):
    point = x.clone().requires_grad_()
    return torch.autograd.grad(model(point).gather(1, y[:, None]).sum(), point)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_gradient_is_the_slope_of_the_label_s_logit(dtype, batch_size):
    model, x = network(dtype), images(dtype=dtype)
    predicted = model(x).argmax(1)
    y = (predicted + 1) % 4
    found = inradius.saliency(model, x, y, batch_size=batch_size)
    assert found.dtype == dtype
    torch.testing.assert_close(found, slopes(model, x, y))
    torch.testing.assert_close(inradius.saliency(model, x, batch_size=batch_size), slopes(model, x, predicted))


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_add_up_to_the_rise_of_the_logit(baseline):
    model, x = network(), images()
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    found = inradius.saliency(model, x, y, method="integrated_gradients", baseline=baseline, batch_size=4)
    rise = (model(x) - model(torch.full_like(x, baseline))).gather(1, y[:, None]).squeeze(1)
    torch.testing.assert_close(found.flatten(1).sum(1), rise, rtol=1e-8, atol=1e-8)
    # the mean slope on the way, by a fine sum of rectangles
    parts = [(k + 0.5) / 2000 for k in range(2000)]
    mean = sum(slopes(model, baseline + share * (x - baseline), y) for share in parts) / len(parts)
    torch.testing.assert_close(found, mean * (x - baseline), rtol=1e-5, atol=1e-7)


class Squares(nn.Module):
    """Logits Σ xᵢ² and 0, with slope 2 x and curvature 2."""

    def forward(self, x):
        return torch.stack([x.flatten(1).square().sum(1), torch.zeros_like(x[:, 0, 0, 0])], 1)


def test_smooth_grad_is_the_mean_of_slopes_around_x():
    x, y = images(), torch.zeros(6, dtype=torch.int64)
    found = inradius.saliency(Squares(), x, y, method="smooth_grad", samples=400, noise=0.2)
    spread = 2 * 0.2 * (x.flatten(1).amax(1) - x.flatten(1).amin(1)).view(-1, 1, 1, 1) / 400**0.5
    share = (found - 2 * x) / spread
    # 96 standard normal numbers
    assert share.abs().max() < 4.5
    assert share.std().item() == pytest.approx(1, abs=0.25)
    torch.testing.assert_close(inradius.saliency(Squares(), x, y, method="smooth_grad", samples=3, noise=0.0), 2 * x)


def test_an_example_s_noise_does_not_depend_on_the_batch_and_the_seed_is_used():
    model, x = network(), images()
    whole = inradius.saliency(model, x, method="smooth_grad", samples=4)
    torch.testing.assert_close(inradius.saliency(model, x, method="smooth_grad", samples=4, batch_size=2), whole)
    torch.testing.assert_close(inradius.saliency(model, x[:3], method="smooth_grad", samples=4), whole[:3])
    assert not torch.allclose(inradius.saliency(model, x, method="smooth_grad", samples=4, seed=1), whole)


@pytest.mark.parametrize("method", ["gradient", "smooth_grad", "integrated_gradients"])
def test_the_model_is_left_as_it_was_and_runs_in_eval_mode(method):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    maps = [inradius.saliency(model.train(), images(), method=method, samples=3, steps=4) for _ in range(2)]
    assert torch.equal(*maps)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert inradius.saliency(model, images(0), method=method).shape == (0, 1, 4, 4)


def test_functions_arrays_and_lists_are_taken_too():
    model, x = network(torch.float32), images(dtype=torch.float32)
    expected = inradius.saliency(model, x, [1] * 6)
    torch.testing.assert_close(inradius.saliency(lambda given: model(given), x, [1] * 6), expected)
    torch.testing.assert_close(inradius.saliency(model, x.numpy(), [1] * 6), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "deep"}, "method='deep' is not known; allowed are gradient, smooth_grad, integrated_gradients"),
        ({"samples": 0}, "samples=0 is not allowed; allowed is an integer ≥ 1"),
        ({"steps": 2.5}, "steps=2.5 is not allowed"),
        ({"batch_size": True}, "batch_size=True is not allowed"),
        ({"noise": -0.1}, "noise=-0.1 is not allowed; allowed is a finite number ≥ 0"),
        ({"y": [9] * 6}, "label 9 is out of range; the model has the classes 0 to 3"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(options, message):
    with pytest.raises(InputError, match=message):
        inradius.saliency(network(), images(), **options)


def test_without_captum_the_error_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UnsupportedError, match=r'pip install "inradius\[saliency\]" brings it') as caught:
        inradius.saliency(network(), images())
    assert "\n" not in str(caught.value)
