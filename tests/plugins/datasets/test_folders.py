"""Images in folders, and data of the library datasets."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import inradius
from inradius import InputError, UnsupportedError
from inradius.report.pictures import png


def write(folder, sizes=((4, 5), (4, 5), (4, 5))):
    """Images as PNG files in two classes, and their pixels (C, H, W) in the order of the files."""
    pixels = [torch.from_numpy(np.random.default_rng(n).random((3, *size))) for n, size in enumerate(sizes)]
    for number, image in enumerate(pixels):
        place = folder / ("cat" if number < 2 else "dog")
        place.mkdir(exist_ok=True)
        (place / f"{number}.png").write_bytes(png(image, (0.0, 1.0)))
    return [(image * 255).round() / 255 for image in pixels]


def test_images_are_the_pixels_of_their_files(tmp_path):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    pixels = write(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    data = inradius.make(f"images('{tmp_path}')", inradius.Dataset)
    torch.testing.assert_close(data.inputs, torch.stack(pixels).float(), rtol=0, atol=1e-6)
    assert data.labels.tolist() == [0, 0, 1]
    assert inradius.make(f"images('{tmp_path}', size=(3, 2), channels=1)").inputs.shape == (3, 1, 3, 2)
    assert inradius.make(f"images('{tmp_path}', size=6)").name == f"images('{tmp_path}', size=6)"


def test_refused_folders(tmp_path, monkeypatch):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    with pytest.raises(InputError, match="has no images; allowed is a folder with a folder of images for each class"):
        inradius.make(f"images('{tmp_path}')")
    write(tmp_path, sizes=((4, 5), (5, 5)))
    with pytest.raises(InputError, match=r"have sizes \(4, 5\), \(5, 5\); give size="):
        inradius.make(f"images('{tmp_path}')")
    for given, said in (("size=0", "size=0 is not allowed"), ("channels=2", "channels=2 is not allowed")):
        with pytest.raises(InputError, match=said):
            inradius.make(f"images('{tmp_path}', {given})")
    (tmp_path / "cat" / "bad.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad.png is no image"):
        inradius.make(f"images('{tmp_path}', size=4)")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UnsupportedError, match="needs the package Pillow"):
        inradius.make(f"images('{tmp_path}', size=4)")


def test_data_of_the_library_datasets(tmp_path, monkeypatch):
    rows = [{"img": np.full((1, 2, 2), n, np.uint8), "label": n} for n in range(3)]
    stored = {"train": rows, "test": rows[:2]}
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_from_disk=lambda place: stored))
    data = inradius.make(f"hf_data('{tmp_path}', split='test')", inradius.Dataset)
    assert data.labels.tolist() == [0, 1]
    assert torch.equal(data.inputs[1], torch.full((1, 2, 2), 1 / 255))
    with pytest.raises(InputError, match=r"split=None is not in .*; allowed are 'train', 'test'"):
        inradius.make(f"hf_data('{tmp_path}')")
    with pytest.raises(InputError, match="there is no folder"):
        inradius.make("hf_data('absent')")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UnsupportedError, match="needs the package datasets"):
        inradius.make(f"hf_data('{tmp_path}')")


def test_hidden_folders_are_no_classes(tmp_path):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    write(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
    assert inradius.make(f"images('{tmp_path}')", inradius.Dataset).labels.tolist() == [0, 0, 1]


def test_more_than_8_bits_are_refused_and_sizes_are_whole(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    write(tmp_path)
    image.fromarray(np.full((4, 5), 40000, dtype=np.uint16)).save(tmp_path / "cat" / "9.png")
    with pytest.raises(InputError, match="has more than 8 bits for a pixel"):
        inradius.make(f"images('{tmp_path}')", inradius.Dataset)
    for size in ("3.5", "True", "'a'", "(3, True)"):
        with pytest.raises(InputError, match="is not allowed; allowed is a number of pixels"):
            inradius.make(f"images('{tmp_path}', size={size})", inradius.Dataset)
