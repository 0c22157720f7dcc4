"""The street view house numbers, cropped digits."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError
from inradius_datasets import splits


def svhn(folder: str, split: str = "test") -> Dataset:
    """Images of digits from a folder with the files of SVHN's second format, (N, 3, 32, 32) in [0, 1].

    folder: holds ``test_32x32.mat``, or ``train_32x32.mat`` and ``extra_32x32.mat``. split: "test", "train" or "extra". The
    files call the digit 0 class 10; here it is class 0. Raises ``InputError`` for a file that is missing or damaged.
    """
    splits.check(split, ("test", "train", "extra"))
    file = Path(folder).expanduser() / f"{split}_32x32.mat"
    if not file.is_file():
        raise InputError(f"there is no {file.name} in the folder {file.parent}; svhn reads the files of cropped digits")
    pixels, labels = _arrays(file)
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)).astype(np.float32)) / 255
    digits = torch.from_numpy(labels.reshape(-1).astype(np.int64)) % 10
    return Dataset.of(images, digits, name=f"svhn({folder!r}, split={split!r})")


def _arrays(file: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pixels (32, 32, 3, N) and labels (N, 1) from 1 to 10."""
    from scipy.io import loadmat

    try:
        found = loadmat(file, variable_names=["X", "y"])
    # a damaged file may fail anywhere in the reader
    except Exception as error:
        raise InputError(
            f"{file} is no MATLAB file that can be read ({error}); allowed is the original file"
        ) from error
    pixels, labels = found.get("X"), found.get("y")
    if (
        pixels is None
        or labels is None
        or pixels.dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[:3] != (32, 32, 3)
        or labels.size != pixels.shape[3]
        or labels.dtype.kind not in "iu"
        or not bool(((labels >= 1) & (labels <= 10)).all())
    ):
        raise InputError(f"{file} has no X of bytes (32, 32, 3, N) with N labels y from 1 to 10, as SVHN's files have")
    return pixels, labels
