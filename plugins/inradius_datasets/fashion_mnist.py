"""Fashion-MNIST from its raw files."""

import attrs

from inradius import Dataset, InputError
from inradius_datasets.idx import idx

_SIDE, _CLASSES = 28, 10


def fashion_mnist(folder: str, split: str = "test") -> Dataset:
    """Grey images of ten kinds of clothes, (N, 1, 28, 28) in [0, 1].

    folder: holds ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` (split "test"), or the same with ``train``
    (split "train"), each plain or as ``.gz``. MNIST's files have these names too: the folder tells them apart. Source: xiao2017.
    Raises ``InputError`` for a file that is missing, damaged or of another shape.
    """
    data = idx(folder, split)
    shape, largest = tuple(data.inputs.shape[1:]), int(data.labels.max()) if len(data) else 0
    if shape != (1, _SIDE, _SIDE) or largest >= _CLASSES:
        raise InputError(
            f"{folder} has images of shape {shape} with labels up to {largest}; allowed are the files of Fashion-MNIST, of shape "
            f"{(1, _SIDE, _SIDE)} with labels up to {_CLASSES - 1}"
        )
    return attrs.evolve(data, name=f"fashion_mnist({folder!r}, split={split!r})")
