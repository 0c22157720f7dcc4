"""CIFAR-10 from its standard batches, binary or pickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError
from inradius_datasets import pickled, splits

Array = np.ndarray[Any, Any]

_BATCHES = {"test": ("test_batch",), "train": tuple(f"data_batch_{number}" for number in range(1, 6))}
_PIXELS = 3 * 32 * 32
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")


def cifar10(folder: str, split: str = "test") -> Dataset:
    """CIFAR-10 images from a folder with its standard batches, (N, 3, 32, 32) in [0, 1].

    folder: the folder with the batches, binary (``test_batch.bin``) or pickled (``test_batch``), or the folder to which
    their archive unpacks. split: "test" or "train". Pickles are read without running code.
    Raises ``InputError`` for a batch that is missing or damaged.
    """
    splits.check(split, ("test", "train"))
    batches = [_batch(_find(folder, name)) for name in _BATCHES[split]]
    pixels, labels = (np.concatenate(side) for side in zip(*batches, strict=True))
    images = torch.from_numpy(pixels.astype(np.float32)).view(-1, 3, 32, 32) / 255
    name = f"cifar10({folder!r}, split={split!r})"
    return Dataset.of(images, torch.from_numpy(labels.astype(np.int64)), name=name)


def _find(folder: str, batch: str) -> Path:
    place = Path(folder).expanduser()
    for file in (place / below / f"{batch}{end}" for below in _FOLDERS for end in (".bin", "")):
        if file.is_file():
            return file
    raise InputError(f"there is no {batch}.bin or {batch} in the folder {place}; cifar10 reads the standard batches")


def _batch(file: Path) -> tuple[Array, Array]:
    """Pixels (n, 3072) and labels (n,) of one batch, unsigned bytes."""
    pixels, labels = _binary(file) if file.suffix == ".bin" else _unpickled(file)
    if labels.size and labels.max() > 9:
        raise InputError(f"{file} has the label {labels.max()}; allowed are the classes 0 to 9")
    return pixels, labels


def _binary(file: Path) -> tuple[Array, Array]:
    content = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    if not content.size or content.size % (1 + _PIXELS):
        raise InputError(f"{file} has {content.size} bytes; allowed are whole records of {1 + _PIXELS}")
    records = content.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], records[:, 0]


def _unpickled(file: Path) -> tuple[Array, Array]:
    found = pickled.read(file)
    pixels, labels = (found.get(key) for key in (b"data", b"labels")) if isinstance(found, Mapping) else (None, None)
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or not isinstance(labels, list)
        or pixels.shape != (len(labels), _PIXELS)
        or not all(isinstance(label, int) and 0 <= label < 256 for label in labels)
    ):
        raise InputError(f"{file} has no data of unsigned bytes (n, {_PIXELS}) with n labels, as a CIFAR-10 batch has")
    return pixels, np.array(labels, dtype=np.uint8)
