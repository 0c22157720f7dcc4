"""The user's own data, saved with ``numpy.savez``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError
from inradius.data.arrays import read_npz
from inradius.data.dataset import Bounds


def npz(path: str, classes: bool = True) -> Dataset:
    """The arrays of a ``.npz`` file: ``inputs`` (N, *S) and ``labels`` (N,), or ``x`` and ``y``.

    With ``classes=False`` the labels (N, ...) are not classes: numbers of any type, as an outcome takes them. Inputs become
    float32; unsigned bytes are pixels and are divided by 255. An array ``bounds`` of two numbers is the box of valid inputs
    ([0, 1] where it is absent), one of two rows has a number for each channel, feature or pixel in either row, an empty one
    says that there is none. Raises ``InputError`` for a file that is missing, is no such archive, or lacks an array.
    """
    arrays = read_npz(Path(path).expanduser())
    inputs, labels = _pick(arrays, path, "inputs", "x"), _pick(arrays, path, "labels", "y")
    if inputs.ndim < 2 or inputs.dtype.kind not in "fiu":
        raise InputError(
            f"{path} has inputs of shape {inputs.shape} and type {inputs.dtype}; allowed are numbers of shape (N, ...)"
        )
    if labels.dtype.kind not in ("iu" if classes else "iufb"):
        allowed = "integers" if classes else "numbers"
        raise InputError(f"{path} has labels of type {labels.dtype}; allowed are {allowed}")
    scale = 255 if inputs.dtype == np.uint8 else 1
    with np.errstate(over="ignore"):
        single = inputs.astype(np.float32)
    if inputs.dtype.kind == "f" and bool((np.isinf(single) & np.isfinite(inputs)).any()):
        raise InputError(f"{path} has inputs that are infinite in float32; allowed are numbers of its range")
    pixels = torch.from_numpy(single) / scale
    # torch knows no unsigned numbers but bytes
    found = torch.from_numpy(labels.astype(np.int64) if labels.dtype.kind in "iu" else labels.copy())
    name = f"npz({path!r})" if classes else f"npz({path!r}, classes=False)"
    return Dataset.of(pixels, found, bounds=_bounds(arrays, path), name=name, classes=classes)


def _pick(arrays: Mapping[str, np.ndarray[Any, Any]], path: str, *names: str) -> np.ndarray[Any, Any]:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise InputError(
        f"{path} has the arrays {', '.join(sorted(arrays)) or 'none'}; needed is one named {' or '.join(names)}"
    )


def _bounds(arrays: Mapping[str, np.ndarray[Any, Any]], path: str) -> Bounds:
    if "bounds" not in arrays:
        return (0.0, 1.0)
    values = arrays["bounds"]
    if not values.size:
        return None
    if len(values) != 2 or values.dtype.kind not in "fiu" or not bool((values[0] < values[1]).all()):
        raise InputError(
            f"{path} has bounds {values.tolist()}; allowed are two numbers low < high, two rows of them, or an empty array"
        )
    low, high = torch.from_numpy(values.astype(np.float64))
    return (low, high) if values.ndim > 1 else (float(low), float(high))
