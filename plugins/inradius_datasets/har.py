"""Human activity recognition with smartphones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError
from inradius_datasets import splits

_FEATURES, _CLASSES = 561, 6
_FOLDERS = ("", "UCI HAR Dataset")


def har(folder: str, split: str = "test") -> Dataset:
    """Features of a phone's motion and the activity, (N, 561) in [−1, 1], labels of 6 classes.

    folder: holds ``test/X_test.txt`` and ``test/y_test.txt``, and the same for ``train``, or the folder to which the archive
    unpacks. split: "test" or "train". The files count the classes from 1; here they begin with 0. Source: anguita2013.
    Raises ``InputError`` for a file that is missing or damaged.
    """
    splits.check(split, ("test", "train"))
    inputs = _numbers(_find(folder, split, "X"))
    labels = _numbers(_find(folder, split, "y"))
    if inputs.shape[1:] != (_FEATURES,) or labels.shape != (len(inputs), 1) or not bool((abs(inputs) <= 1).all()):
        raise InputError(
            f"{folder} has inputs of shape {inputs.shape} with labels of shape {labels.shape}; allowed are {_FEATURES} features in "
            "[-1, 1] and one label for each line"
        )
    if not bool(np.isin(labels, range(1, _CLASSES + 1)).all()):
        raise InputError(f"{folder} has labels that are no classes; allowed are 1 to {_CLASSES}")
    return Dataset.of(
        torch.from_numpy(inputs.astype(np.float32)),
        torch.from_numpy(labels[:, 0].astype(np.int64)) - 1,
        bounds=(-1.0, 1.0),
        name=f"har({folder!r}, split={split!r})",
    )


def _find(folder: str, split: str, kind: str) -> Path:
    place = Path(folder).expanduser()
    for below in _FOLDERS:
        if (file := place / below / split / f"{kind}_{split}.txt").is_file():
            return file
    raise InputError(f"there is no {split}/{kind}_{split}.txt in the folder {place}; har reads the original files")


def _numbers(file: Path) -> np.ndarray[Any, Any]:
    """The numbers of a text file, one row for each line."""
    try:
        found = np.loadtxt(file, ndmin=2)
    except ValueError as error:
        raise InputError(f"{file} is no table of numbers ({error}); allowed is the original file") from error
    if not bool(np.isfinite(found).all()):
        raise InputError(f"{file} has numbers that are not finite; allowed is the original file")
    return found
