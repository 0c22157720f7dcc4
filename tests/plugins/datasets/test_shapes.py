"""The drawn shapes: the same on every machine, split without overlap, and what the shipped network answers without any extra."""

import hashlib
import subprocess
import sys
from importlib.resources import files

import pytest
import torch

import inradius

THREAT = "linf(eps=0.1)"
# the SHA-256 of the pixels of the held-out images
HELD_OUT = "b54dffc274854c84540378a3b21696787ba5359c083be3bc94c7e989c950cdfc"


@pytest.mark.parametrize(("split", "count"), [("train", 3000), ("held_out", 1000)])
def test_they_are_images_of_four_classes_in_equal_numbers(split, count):
    data = inradius.make(f"shapes(split={split!r})")
    assert data.name == f"shapes(split={split!r})"
    assert data.inputs.shape == (count, 1, 16, 16)
    assert data.inputs.dtype == torch.float32
    assert data.labels.bincount().tolist() == [count // 4] * 4
    # whole numbers of 0 to 255, as an image file has them
    assert (data.inputs * 255).round().div(255).equal(data.inputs)
    assert 0 <= data.inputs.min() <= 0.1
    assert 0.9 <= data.inputs.max() <= 1
    assert inradius.make(data.name).inputs.equal(data.inputs)


def test_no_image_is_in_both_splits():
    train, held_out = (inradius.make(f"shapes(split={split!r})").inputs.flatten(1) for split in ("train", "held_out"))
    assert not set(map(bytes, train.numpy())) & set(map(bytes, held_out.numpy()))
    with pytest.raises(inradius.InputError, match="'test' is not a split; allowed are 'held_out', 'train'"):
        inradius.make("shapes(split='test')")


def test_they_are_the_images_that_the_card_is_about():
    """The figures on the card are those of these bytes; other ones need another name."""
    pixels = (255 * inradius.make("shapes").inputs).round().to(torch.uint8).numpy()
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == HELD_OUT


def test_each_shape_is_where_it_should_be():
    data = inradius.make("shapes")
    disc, square, triangle, cross = (data.inputs[data.labels == label].mean(0)[0] for label in range(4))
    # corners tell squares, and the tip upwards triangles
    assert square[4:6, 4:6].mean() > disc[4:6, 4:6].mean() + 0.1
    assert square[4:6, 4:6].mean() > cross[4:6, 4:6].mean() + 0.3
    assert triangle[-6:].mean() > 2 * triangle[:6].mean()
    assert (triangle - triangle.flip(1)).abs().max() < 0.15
    for image in (disc, square, cross):
        assert (image - image.flip(0)).abs().max() < 0.15
        assert (image - image.mT).abs().max() < 0.15


def test_the_network_is_what_its_card_says():
    card = (files("inradius_architectures") / "weights" / "shapes_mlp_certified.md").read_text("utf-8")
    model, data = inradius.make("shapes_mlp_certified"), inradius.make("shapes")
    threat, certifier = inradius.make(THREAT), inradius.make("interval")
    clean = float((model(data.inputs).argmax(1) == data.labels).double().mean())
    certified = float(certifier(model, data.inputs, data.labels, threat).certified.double().mean())
    attacked = 1 - float(
        inradius.make("pgd(steps=40)")(model, data.inputs, data.labels, threat).success.double().mean()
    )
    for row, value in (("clean", clean), ("certified by `interval()`", certified)):
        assert f"| {row} | {100 * value:.1f} % |" in card
    assert certified <= attacked <= certified + 0.02
    assert "inradius train" in card


BARE = """
import importlib.machinery as machinery, sys

class Bare(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in sys.argv[1].split(",")
        return None if hidden else machinery.PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(machinery.PathFinder)] = Bare
from inradius.cli import run

sys.exit(run(sys.argv[2:]))
"""


def test_without_any_extra_the_first_command_answers(tmp_path):
    """Where nothing that the extras bring can be imported, the command without a model and data still answers."""
    extras = "mlxtend,matplotlib,cvxpy,sklearn,onnx,onnxruntime,hypothesis,PIL,pandas,vnnlib,transformers,jsonschema"
    command = [sys.executable, "-c", BARE, extras, "bracket", "--count", "40", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "shapes_mlp_certified" in done.stdout
    report = inradius.Report.load(tmp_path / "run")
    assert 0.7 < report.lower <= report.upper < report.clean
    assert not (tmp_path / "run" / "bracket.png").exists()
