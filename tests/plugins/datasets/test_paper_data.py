"""The loaders of the papers' data read files in the original formats, and refuse others in a sentence."""

import pickle

import numpy as np
import pytest
import torch
from scipy.io import savemat

import inradius
from inradius import InputError


def load(spec):
    return inradius.make(spec, inradius.Dataset)


def pixels_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("as_pickle", [True, False])
@pytest.mark.parametrize("below", [True, False])
def test_cifar100_has_the_labels_of_classes_not_of_groups(tmp_path, split, as_pickle, below):
    folder = tmp_path / ("cifar-100-python" if as_pickle else "cifar-100-binary") if below else tmp_path
    folder.mkdir(exist_ok=True)
    pixels, groups, classes = pixels_of(4), [3, 19, 0, 7], [99, 0, 42, 5]
    if as_pickle:
        batch = {b"data": pixels, b"coarse_labels": groups, b"fine_labels": classes, b"filenames": [b"a"] * 4}
        (folder / split).write_bytes(pickle.dumps(batch))
    else:
        records = np.concatenate([np.array([groups, classes], dtype=np.uint8).T, pixels], axis=1)
        (folder / f"{split}.bin").write_bytes(records.tobytes())
    data = load(f"cifar100({str(tmp_path)!r}, split={split!r})")
    assert data.labels.tolist() == classes
    assert torch.equal(data.inputs.flatten(1) * 255, torch.from_numpy(pixels).float())
    assert load(data.name).name == data.name


def write_svhn(folder, split="test", **changes):
    images = np.random.default_rng(1).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    labels = np.array([[10], [1], [9], [5], [2]], dtype=np.uint8)
    savemat(folder / f"{split}_32x32.mat", {"X": images, "y": labels} | changes)
    return images


@pytest.mark.parametrize("split", ["test", "train", "extra"])
def test_svhn_reads_images_and_calls_ten_zero(tmp_path, split):
    images = write_svhn(tmp_path, split)
    data = load(f"svhn({str(tmp_path)!r}, split={split!r})")
    assert data.labels.tolist() == [0, 1, 9, 5, 2]
    assert data.inputs.shape == (5, 3, 32, 32)
    for example, channel, row, column in ((0, 0, 0, 0), (4, 2, 31, 7), (2, 1, 3, 30)):
        assert round(float(data.inputs[example, channel, row, column]) * 255) == images[row, column, channel, example]


def write_fashion(folder, pixels, labels, split="train"):
    for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
        (folder / f"{split}-{kind}-ubyte").write_bytes(head + array.tobytes())


def test_fashion_mnist_reads_its_raw_files_and_no_others(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    write_fashion(tmp_path, pixels, np.array([9, 0, 3, 3], dtype=np.uint8))
    data = load(f"fashion_mnist({str(tmp_path)!r}, split='train')")
    assert data.labels.tolist() == [9, 0, 3, 3]
    assert torch.equal((data.inputs * 255).squeeze(1), torch.tensor(pixels, dtype=torch.float32))
    assert load(data.name).name == data.name
    with pytest.raises(InputError, match="there is no t10k-images"):
        load(f"fashion_mnist:{tmp_path}")
    for images, last in ((pixels[:, :20], 3), (pixels, 10)):
        write_fashion(tmp_path, np.ascontiguousarray(images), np.array([9, 0, 3, last], dtype=np.uint8))
        with pytest.raises(InputError, match="allowed are the files of Fashion-MNIST"):
            load(f"fashion_mnist({str(tmp_path)!r}, split='train')")


def write_har(folder, split="test", inputs=None, labels=(5, 1, 6)):
    inputs = np.random.default_rng(2).uniform(-1, 1, (3, 561)) if inputs is None else inputs
    (folder / split).mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / split / f"X_{split}.txt", inputs, fmt="%16.8e", delimiter="")
    np.savetxt(folder / split / f"y_{split}.txt", np.array(labels), fmt="%d")
    return inputs


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize("below", ["", "UCI HAR Dataset"])
def test_har_reads_tables(tmp_path, split, below):
    inputs = write_har(tmp_path / below, split)
    data = load(f"har({str(tmp_path)!r}, split={split!r})")
    np.testing.assert_allclose(data.inputs.numpy(), inputs, atol=1e-6)
    assert data.labels.tolist() == [4, 0, 5]
    assert data.bounds == (-1.0, 1.0)


def test_what_is_missing_or_damaged_is_named(tmp_path):
    for spec, told in (
        (f"cifar100({str(tmp_path)!r})", "no test.bin or test in the folder"),
        (f"svhn({str(tmp_path)!r})", "no test_32x32.mat in the folder"),
        (f"har({str(tmp_path)!r})", "no test/X_test.txt in the folder"),
        ("svhn('.', split='all')", "'test', 'train', 'extra'"),
        ("har('.', split='all')", "'test', 'train'"),
        ("cifar100('.', split='all')", "'test', 'train'"),
    ):
        with pytest.raises(InputError, match=told):
            load(spec)
    (tmp_path / "test.bin").write_bytes(bytes(3075))
    with pytest.raises(InputError, match="whole records of 3074"):
        load(f"cifar100({str(tmp_path)!r})")
    (tmp_path / "test.bin").write_bytes(bytes([0, 100]) + bytes(3072))
    with pytest.raises(InputError, match="classes 0 to 99"):
        load(f"cifar100({str(tmp_path)!r})")


@pytest.mark.parametrize(
    "changes",
    [
        {"y": np.array([[0], [1], [2], [3], [4]])},
        {"y": np.array([[1], [1]])},
        {"X": np.zeros((32, 32, 5), dtype=np.uint8)},
        {"X": np.zeros((32, 32, 3, 5))},
        {"y": np.full((5, 1), 1.5)},
    ],
)
def test_svhn_refuses_other_arrays(tmp_path, changes):
    write_svhn(tmp_path, **changes)
    with pytest.raises(InputError, match="has no X of bytes"):
        load(f"svhn({str(tmp_path)!r})")


def test_svhn_refuses_a_damaged_file(tmp_path):
    write_svhn(tmp_path)
    file = tmp_path / "test_32x32.mat"
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-50], b"not a file of MATLAB" * 20):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"test_32x32\.mat"):
            load(f"svhn({str(tmp_path)!r})")


@pytest.mark.parametrize(
    ("inputs", "labels", "told"),
    [
        (np.zeros((3, 560)), (1, 2, 3), "561 features"),
        (np.full((3, 561), 2.0), (1, 2, 3), "561 features"),
        (np.zeros((3, 561)), (1, 2), "one label for each line"),
        (np.zeros((3, 561)), (1, 2, 7), "1 to 6"),
        (np.full((3, 561), np.nan), (1, 2, 3), "not finite"),
    ],
)
def test_har_refuses_other_tables(tmp_path, inputs, labels, told):
    write_har(tmp_path, inputs=inputs, labels=labels)
    with pytest.raises(InputError, match=told):
        load(f"har({str(tmp_path)!r})")
    (tmp_path / "test" / "X_test.txt").write_text("one two")
    with pytest.raises(InputError, match="no table of numbers"):
        load(f"har({str(tmp_path)!r})")
