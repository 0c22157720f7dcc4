"""The figure of perturbed images: original, what moved, result."""

import pytest
import torch

from inradius import InputError
from inradius.report import perturbation_figure
from inradius.report.pictures import ABOVE, BELOW, signed


def moved(channels=1, count=2):
    x = torch.zeros(count, channels, 6, 6)
    x[:, :, 2, 2] = 1
    delta = torch.zeros_like(x)
    delta[:, :, 2, 2], delta[:, :, 2, 3] = -0.5, 0.5
    return x, delta


def test_mass_is_blue_where_it_left_and_orange_where_it_arrived():
    _, delta = moved(count=1)
    colours = signed(delta[0])
    assert tuple(colours[:, 2, 2].tolist()) == pytest.approx(BELOW)
    assert tuple(colours[:, 2, 3].tolist()) == pytest.approx(ABOVE)
    assert colours[:, 0, 0].tolist() == [1, 1, 1]
    assert bool((signed(torch.zeros(6, 6)) == 1).all())
    assert signed(moved(channels=3)[1][0])[:, 0, 0].tolist() == [0.5] * 3


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_example_is_a_row_of_three_pictures(channels, suffix, tmp_path):
    x, delta = moved(channels)
    path = tmp_path / f"moved.{suffix}"
    figure = perturbation_figure(x, delta, titles=["3 → 5", "2 → 7"], path=path)
    assert path.stat().st_size > 1000
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    assert len(pictures) == 6
    assert all(picture.shape == (6, 6, 3) for picture in pictures)
    assert pictures[0][2, 2].tolist() == [1, 1, 1]
    assert pictures[2][2, 3].tolist() == [0.5] * 3
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["3 → 5", "2 → 7"]


def test_images_without_a_channel_axis_and_masses_above_one_are_drawn():
    x, delta = moved()
    figure = perturbation_figure(x[:, 0], 3 * delta[:, 0], bounds=(0, 1))
    assert figure.axes[2].images[0].get_array()[2, 3].tolist() == [1, 1, 1]
    assert not figure.axes[0].collections


def test_flows_are_arrows_from_source_to_target():
    x, delta = moved()
    stays = (torch.tensor([14]), torch.tensor([14]), torch.tensor([0.5]))
    goes = (torch.tensor([14, 14]), torch.tensor([14, 15]), torch.tensor([0.5, 0.5]))
    figure = perturbation_figure(x, delta, flows=[stays, goes])
    assert not figure.axes[1].collections
    (arrows,) = figure.axes[4].collections
    assert (arrows.X.tolist(), arrows.Y.tolist(), arrows.U.tolist(), arrows.V.tolist()) == ([2], [2], [1], [0])


@pytest.mark.parametrize(
    ("x", "delta", "options", "message"),
    [
        (torch.zeros(2, 8), torch.zeros(2, 8), {}, "no images to draw"),
        (torch.zeros(0, 1, 6, 6), torch.zeros(0, 1, 6, 6), {}, "no images to draw"),
        (torch.zeros(2, 1, 6, 6), torch.zeros(1, 1, 6, 6), {}, "no images to draw"),
        (torch.zeros(2, 1, 6, 6), torch.zeros(2, 1, 6, 6), {"titles": ["one"]}, "1 titles were given for 2 images"),
        (torch.zeros(2, 1, 6, 6), torch.zeros(2, 1, 6, 6), {"flows": []}, "0 flows were given for 2 images"),
    ],
)
def test_what_is_no_picture_is_refused(x, delta, options, message):
    with pytest.raises(InputError, match=message):
        perturbation_figure(x, delta, **options)
