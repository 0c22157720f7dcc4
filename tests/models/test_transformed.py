import io

import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius import JPEG, Attack, Crop, InputError, Noise, Shift, Transformed


def picture(channels, height=24, width=20):
    torch.manual_seed(0)
    smooth = nn.functional.interpolate(torch.rand(2, channels, 6, 5), (height, width), mode="bicubic").clamp(0, 1)
    return (smooth * 255).round() / 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_is_that_of_pillow(channels, quality):
    image = pytest.importorskip("PIL.Image")
    x = picture(channels)
    found = JPEG(quality)(x)
    for one, mine in zip(x, found, strict=True):
        pixels = (one * 255).round().byte().permute(1, 2, 0).numpy()
        stream = io.BytesIO()
        image.fromarray(pixels.squeeze()).save(stream, "JPEG", quality=quality, subsampling=0)
        theirs = torch.from_numpy(np.array(image.open(stream))).view(24, 20, channels).permute(2, 0, 1)
        # a coefficient between two integers may be rounded to either, and then its block differs
        difference = (mine * 255 - theirs).abs()
        assert difference.mean() < 1.0
        assert (difference < 1.5).float().mean() > 0.75


def test_jpeg_has_the_gradient_of_nearly_the_identity():
    x = picture(3).requires_grad_()
    c = torch.rand_like(x)
    (gradient,) = torch.autograd.grad((JPEG(90)(x * 0.6 + 0.2) * c).sum(), x)
    assert torch.allclose(gradient, 0.6 * c, atol=1e-3)


def test_shift_moves_whole_images():
    x = torch.zeros(200, 1, 7, 9)
    x[:, :, 3, 4] = 1.0
    torch.manual_seed(0)
    place = Shift(2)(x).flatten(1).argmax(1)
    rows, columns = place // 9, place % 9
    assert sorted(set(rows.tolist())) == [1, 2, 3, 4, 5]
    assert sorted(set(columns.tolist())) == [2, 3, 4, 5, 6]


def test_crop_keeps_a_constant_and_share_1_is_the_image():
    x = picture(3)
    assert torch.allclose(Crop(1.0)(x), x, atol=1e-5)
    assert torch.allclose(Crop(0.5)(torch.full((4, 1, 8, 8), 0.3)), torch.tensor(0.3))
    ramp = torch.linspace(0, 1, 32).expand(6, 1, 32, 32)
    cut = Crop(0.5)(ramp)
    assert bool(((cut[..., -1] - cut[..., 0]).amin((1, 2)) >= 0.45).all())


def test_a_transformed_network_is_random_and_attacks_see_its_gradient():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    x = torch.rand(4, 1, 8, 8)
    y = network(x).argmax(1)
    model = Transformed(network, Shift(1), Crop(0.9), Noise(0.01), JPEG(80), lambda images: images.clamp(0, 1)).eval()
    assert any("random" in flag for flag in inradius.model_flags(model, x, y))
    found = inradius.make("eot(pgd(steps=5), samples=3)", Attack)(model, x, y, inradius.make("linf(eps=0.5)"))
    assert bool(found.success.any())


def test_what_they_refuse():
    for build, given in ((Shift, 0), (Crop, 1.5), (Noise, 0), (JPEG, 101)):
        with pytest.raises(InputError, match="is not allowed; allowed is"):
            build(given)
    with pytest.raises(InputError, match="allowed are functions of inputs"):
        Transformed(nn.Identity())
    for layer in (Shift(1), Crop(0.5), JPEG()):
        with pytest.raises(InputError, match="allowed are images"):
            layer(torch.rand(2, 5))


@pytest.mark.parametrize("transform", [Shift(1), Crop(0.8), Noise(0.1), JPEG(75)], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_transforms_keep_types_and_take_no_images(transform, kind):
    for count in (0, 2):
        found = transform(torch.rand(count, 3, 8, 8).to(kind))
        assert found.dtype == kind
        assert found.shape == (count, 3, 8, 8)


def test_what_is_no_network_or_number_is_refused():
    with pytest.raises(InputError, match=r"the network is a NoneType; allowed is a torch.nn.Module"):
        Transformed(None, Shift(1))
    with pytest.raises(InputError, match="sigma=inf is not allowed"):
        Noise(float("inf"))
