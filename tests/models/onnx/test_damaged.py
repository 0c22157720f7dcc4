"""Files with one byte changed: a sentence, or what onnxruntime reads in the changed file."""

import random

import numpy as np
import pytest
import torch
from onnx_cases import exported, outputs_of_runtime
from onnx_models import models

from inradius.errors import InradiusError
from inradius.models.onnx.read import read_onnx

NAMES = ("cnn", "resnet", "lstm", "vit", "unet bilinear", "padded", "view", "moves", "clamps", "pools ceil")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The content of small files, in which half of the bytes are no weights."""
    folder, known = tmp_path_factory.mktemp("whole"), models()
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}}, "opset_version": 17}
    return [
        exported(known[name][0], torch.randn(1, *known[name][1]), folder / "net.onnx", **names).read_bytes()
        for name in NAMES
    ]


def damaged(files, rng):
    content = bytearray(rng.choice(files))
    place = rng.randrange(len(content))
    content[place] = rng.choice([content[place] ^ (1 << rng.randrange(8)), rng.randrange(256)])
    return bytes(content)


def said(sentence, file):
    """Checks that a refusal is one line with the file's name."""
    assert "\n" not in sentence
    assert file.name in sentence
    return True


def is_clear(file):
    """Checks what becomes of a file; True where it is refused."""
    try:
        model = read_onnx(file)
    except InradiusError as error:
        return said(str(error), file)
    x = torch.randn(1, *model.input_shape, generator=torch.Generator().manual_seed(0)).to(model.dtype)
    wanted = outputs_of_runtime(file, x)
    with torch.no_grad():
        found, exact = model(x).numpy(), model.double()(x.double()).numpy()
    assert found.shape == wanted.shape
    # a changed weight may make numbers for which rounding is all
    scale = 1e-5 * np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
    if np.allclose(found, exact, rtol=1e-5, atol=scale):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=scale)
    return False


def drill(files, folder, seeds):
    file, refused = folder / "net.onnx", 0
    for seed in seeds:
        file.write_bytes(damaged(files, random.Random(seed)))
        refused += is_clear(file)
    return refused


def test_a_changed_byte_is_refused_or_read_as_onnxruntime_reads_it(files, tmp_path):
    assert 20 < drill(files, tmp_path, range(60)) < 55


@pytest.mark.slow
def test_a_thousand_changed_bytes_are_refused_or_read_as_onnxruntime_reads_them(files, tmp_path):
    assert drill(files, tmp_path, range(100, 1100)) > 300
