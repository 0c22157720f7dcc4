"""The raw files of MNIST and Fashion-MNIST, plain or compressed."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError
from inradius_datasets import splits

_UNSIGNED_BYTE = 0x08
_PREFIX = {"test": "t10k", "train": "train"}


def idx(folder: str, split: str = "test") -> Dataset:
    """Images of a folder with the raw files of MNIST or Fashion-MNIST, (N, 1, H, W) in [0, 1].

    folder: holds ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` (split "test"), or the same with ``train``
    (split "train"), each plain or as ``.gz``. Raises ``InputError`` for a file that is missing or damaged.
    """
    splits.check(split, ("test", "train"))
    images = _array(_find(folder, f"{_PREFIX[split]}-images", "idx3-ubyte"), 3)
    labels = _array(_find(folder, f"{_PREFIX[split]}-labels", "idx1-ubyte"), 1)
    pixels = torch.from_numpy(images.astype(np.float32))[:, None] / 255
    name = f"idx({folder!r}, split={split!r})"
    return Dataset.of(pixels, torch.from_numpy(labels.astype(np.int64)), name=name)


def _find(folder: str, stem: str, kind: str) -> Path:
    """The path of the file. Some copies have a dot before the kind."""
    place = Path(folder).expanduser()
    names = [f"{stem}{mark}{kind}{end}" for end in ("", ".gz") for mark in "-."]
    for name in names:
        if (place / name).is_file():
            return place / name
    raise InputError(f"there is no {names[0]} (or {names[2]}) in the folder {place}; idx reads MNIST's raw files")


def _content(file: Path) -> bytes:
    content = file.read_bytes()
    if file.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be decompressed ({error}); allowed is a whole gzip file") from error


def _array(file: Path, axes: int) -> np.ndarray[Any, Any]:
    """The array: two zero bytes, the type, the number of axes, each axis as a big-endian integer, then the values."""
    content, head = _content(file), 4 + 4 * axes
    if len(content) < head or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, axes]):
        raise InputError(f"{file} does not begin as an idx file of unsigned bytes with {axes} axes does")
    shape = struct.unpack(f">{axes}I", content[4:head])
    values = np.frombuffer(content, dtype=np.uint8, offset=head)
    if values.size != int(np.prod(shape, dtype=object)):
        raise InputError(f"{file} announces an array of shape {shape} and holds {values.size} values; is it cut off?")
    return values.reshape(shape)
