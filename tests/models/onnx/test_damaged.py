"""Files with one byte changed: a sentence, or what onnxruntime reads in the changed file."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_cases import exported, outputs_of_runtime
from onnx_models import models

from inradius.cli import run
from inradius.errors import InradiusError
from inradius.models.onnx.read import read_onnx

NAMES = ("cnn", "resnet", "lstm", "vit", "unet bilinear", "padded", "view", "moves", "clamps", "pools ceil")
FOLDER = Path(os.environ.get("INRADIUS_REFERENCE_DATA", "")) / "vnncomp2021"
PUBLISHED = [
    *(f"test/test_{name}.onnx" for name in ("sat", "nano", "small", "tiny")),
    "acasxu/ACASXU_run2a_1_1_batch_2000.onnx",
    "mnistfc/mnist-net_256x2.onnx",
]


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


def drill(files, folder, seeds, change=damaged):
    file, refused = folder / "net.onnx", 0
    for seed in seeds:
        file.write_bytes(change(files, random.Random(seed)))
        refused += is_clear(file)
    return refused


def published(name):
    """The content of a file, and the places of its bytes outside of long weights."""
    import onnx

    content = (FOLDER / name).read_bytes()
    places = set(range(len(content)))
    for tensor in onnx.ModelProto.FromString(content).graph.initializer:
        if len(tensor.raw_data) > 50:
            start = content.find(tensor.raw_data)
            places -= set(range(start, start + len(tensor.raw_data)))
    return content, sorted(places)


def changed(given, rng):
    """The content with a byte changed, in three of four cases outside of long weights."""
    content, places = bytearray(given[0]), given[1]
    place = rng.choice(places) if rng.random() < 0.75 else rng.randrange(len(content))
    content[place] = rng.choice([content[place] ^ (1 << rng.randrange(8)), rng.randrange(256)])
    return bytes(content)


def test_a_changed_byte_is_refused_or_read_as_onnxruntime_reads_it(files, tmp_path):
    assert 20 < drill(files, tmp_path, range(60)) < 55


@pytest.mark.slow
def test_a_thousand_changed_bytes_are_refused_or_read_as_onnxruntime_reads_them(files, tmp_path):
    assert drill(files, tmp_path, range(100, 1100)) > 300


@pytest.mark.slow
@pytest.mark.skipif("INRADIUS_REFERENCE_DATA" not in os.environ, reason="INRADIUS_REFERENCE_DATA names no folder")
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_thousand_changed_bytes_of_published_files(name, tmp_path):
    refused = drill(published(name), tmp_path, range(1000), changed)
    assert 50 < refused < 950


@pytest.mark.skipif("INRADIUS_REFERENCE_DATA" not in os.environ, reason="INRADIUS_REFERENCE_DATA names no folder")
def test_a_changed_byte_ends_the_command_with_a_sentence_or_an_answer(tmp_path, capsys):
    given, file = published(PUBLISHED[1]), tmp_path / "net.onnx"
    codes = set()
    for seed in range(40):
        file.write_bytes(changed(given, random.Random(seed)))
        code = run(["verify", str(file), str(FOLDER / "test/test_nano.vnnlib"), "--timeout", "1"])
        told = capsys.readouterr()
        codes.add(code)
        if code == 2:
            assert told.err.count("\n") == 1
            assert "Traceback" not in told.err
    assert 2 in codes
    assert codes <= {0, 2, 10, 11, 12}
