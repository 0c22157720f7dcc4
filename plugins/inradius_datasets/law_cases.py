"""The specs of the data that the laws check, with tiny files of each format in a folder that lasts as long as the process."""

import atexit
import functools
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np

_COUNT = 12


def dataset_specs() -> list[str]:
    """A spec of each data set, several where it has several ways to read."""
    folder = str(_files())
    files = [f"{name}({folder!r})" for name in ("idx", "fashion_mnist", "cifar10", "cifar100", "svhn", "har")]
    return [
        *("mnist5k()", "mnist5k(split='train')", "digits()", "digits(split='train')"),
        *("moons()", "shapes()", "shapes(split='train')"),
        *files,
        *(f"npz({folder + '/bytes.npz'!r})", f"npz({folder + '/numbers.npz'!r}, classes=False)"),
        *(f"images({folder + '/pictures'!r}, size=4)", f"images({folder + '/pictures'!r}, channels=1)"),
        f"hf_data({folder + '/rows'!r})",
        *("joined(moons(), moons())", "subset(shapes(), count=5)"),
        "pseudo_labelled(moons(), moons(), 'mlp(2, 4, 2)')",
    ]


@functools.cache
def _files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="inradius-law-cases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    labels = np.arange(_COUNT, dtype=np.uint8) % 6
    _write_images(folder, labels, rng)
    _write_numbers(folder, labels, rng)
    return folder


def _write_images(folder: Path, labels: np.ndarray, rng: np.random.Generator) -> None:
    """The raw files of MNIST, CIFAR and SVHN, and pictures of two classes."""
    from scipy.io import savemat

    grey = rng.integers(0, 256, (_COUNT, 28, 28), dtype=np.uint8)
    for values, name in ((grey, "images-idx3"), (labels, "labels-idx1")):
        head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
        (folder / f"t10k-{name}-ubyte").write_bytes(head + values.tobytes())
    colours = rng.integers(0, 256, (_COUNT, 3 * 32 * 32), dtype=np.uint8)
    (folder / "test_batch.bin").write_bytes(np.column_stack([labels, colours]).tobytes())
    (folder / "test.bin").write_bytes(np.column_stack([labels, labels + 50, colours]).tobytes())
    savemat(folder / "test_32x32.mat", {"X": colours.reshape(32, 32, 3, _COUNT), "y": labels[:, None] + 1})
    for place, name in enumerate(("cat", "dog")):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(2):
            pixels = colours[2 * place + number, : 5 * 4 * 3].tobytes()
            (folder / "pictures" / name / f"{number}.ppm").write_bytes(b"P6 4 5 255\n" + pixels)


def _write_numbers(folder: Path, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Archives of numpy, the tables of activities, and rows of the library datasets where it is installed."""
    (folder / "test").mkdir()
    np.savetxt(folder / "test" / "X_test.txt", rng.uniform(-1, 1, (_COUNT, 561)), fmt="%.6f")
    np.savetxt(folder / "test" / "y_test.txt", labels + 1, fmt="%d")
    np.savez(folder / "bytes.npz", inputs=rng.integers(0, 256, (_COUNT, 1, 3, 3), dtype=np.uint8), labels=labels)
    bounds = np.array([[-1.0, -2.0], [1.0, 2.0]])
    measured = rng.uniform(bounds[0], bounds[1], (_COUNT, 2))
    np.savez(folder / "numbers.npz", x=measured, y=measured.sum(1), bounds=bounds)
    (folder / "rows").mkdir()
    try:
        from datasets import Dataset
    except ImportError:
        return
    Dataset.from_dict({"inputs": measured.tolist(), "labels": labels.tolist()}).save_to_disk(str(folder / "rows"))
