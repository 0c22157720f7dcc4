"""Batches of CIFAR-10 and CIFAR-100, binary or pickled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from inradius import Dataset, InputError
from inradius_datasets import pickled

Array = np.ndarray[Any, Any]

_PIXELS = 3 * 32 * 32


@attrs.frozen
class Batches:
    """The form of batches: the data's name, the folders below the given one, and where the labels are.

    A binary record has ``bytes`` of labels, of which number ``place`` counts; a pickle has a list of them under ``key``. They are
    below ``classes``.
    """

    data: str
    folders: Sequence[str]
    key: bytes
    classes: int
    bytes: int = 1
    place: int = 0

    def read(self, folder: str, names: Sequence[str], told: str) -> Dataset:
        """The images of several batches, (N, 3, 32, 32) in [0, 1]; ``told`` is the name of the data."""
        found = [self._batch(self._find(folder, name)) for name in names]
        pixels, labels = (np.concatenate(side) for side in zip(*found, strict=True))
        images = torch.from_numpy(pixels.astype(np.float32)).view(-1, 3, 32, 32) / 255
        return Dataset.of(images, torch.from_numpy(labels.astype(np.int64)), name=told)

    def _find(self, folder: str, batch: str) -> Path:
        place = Path(folder).expanduser()
        for file in (place / below / f"{batch}{end}" for below in self.folders for end in (".bin", "")):
            if file.is_file():
                return file
        raise InputError(
            f"there is no {batch}.bin or {batch} in the folder {place}; {self.data} reads the standard batches"
        )

    def _batch(self, file: Path) -> tuple[Array, Array]:
        """Pixels (n, 3072) and labels (n,) of one batch, unsigned bytes."""
        pixels, labels = self._binary(file) if file.suffix == ".bin" else self._unpickled(file)
        if labels.size and labels.max() >= self.classes:
            raise InputError(f"{file} has the label {labels.max()}; allowed are the classes 0 to {self.classes - 1}")
        return pixels, labels

    def _binary(self, file: Path) -> tuple[Array, Array]:
        content, length = np.frombuffer(file.read_bytes(), dtype=np.uint8), self.bytes + _PIXELS
        if not content.size or content.size % length:
            raise InputError(f"{file} has {content.size} bytes; allowed are whole records of {length}")
        records = content.reshape(-1, length)
        return records[:, self.bytes :], records[:, self.place]

    def _unpickled(self, file: Path) -> tuple[Array, Array]:
        found = pickled.read(file)
        pixels, labels = (found.get(b"data"), found.get(self.key)) if isinstance(found, Mapping) else (None, None)
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or not isinstance(labels, list)
            or pixels.shape != (len(labels), _PIXELS)
            or not all(isinstance(label, int) and 0 <= label < 256 for label in labels)
        ):
            raise InputError(
                f"{file} has no data of unsigned bytes (n, {_PIXELS}) with n labels, as a batch of {self.data} has"
            )
        return pixels, np.array(labels, dtype=np.uint8)
