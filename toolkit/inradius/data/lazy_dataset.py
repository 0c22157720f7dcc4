"""Labelled examples that are read when they are wanted, for data that do not fit in memory."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import attrs
import numpy as np
import torch
from torch import Tensor

from inradius.data.dataset import Bounds, Dataset
from inradius.errors import InputError
from inradius.stored.files import writing

Reader = Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class LazyDataset:
    """Labelled examples whose inputs stay where they are until a batch of them is wanted.

    read: the inputs of some rows of the source, (n,) -> (n, *S); labels (N,); index (N,): each example's row in the source,
    which keys its random numbers and names it in reports; bounds: the box of valid inputs, as of a ``Dataset``; name: for
    reports.
    """

    read: Reader
    labels: Tensor
    index: Tensor
    bounds: Bounds = (0.0, 1.0)
    name: str = "stream"

    @classmethod
    def of(
        cls,
        source: Any,
        labels: Any = None,
        *,
        bounds: Bounds = (0.0, 1.0),
        name: str = "stream",
        classes: bool = True,
    ) -> Self:
        """The examples of a source with rows.

        With ``labels`` (N,) the source is an array, such as ``numpy.load(file, mmap_mode="r")`` or an HDF5 data set; without,
        it is a ``torch.utils.data.Dataset`` of pairs (input, label), which is gone through once for its labels. Bytes are
        divided by 255. With ``classes=False`` labels (N, ...) need not be classes, as outcomes take them. Raises ``InputError``
        for a source without length or rows, and where labels do not fit.
        """
        if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
            raise InputError(
                f"{name} is a {type(source).__name__}, whose rows cannot be asked for; allowed are an array or a data set with "
                "len() and [row], and Stream.spooled(batches, file) for what can be gone through only once"
            )
        read = _reader_of_pairs(source) if labels is None else _reader_of_rows(source)
        found = [_copied(source[row][1]) for row in range(len(source))] if labels is None else labels
        together = torch.stack(found) if labels is None and found else _copied(found)
        numbers = _whole(together, len(source), name) if classes else _counted(together, len(source), name)
        return cls(read, numbers, torch.arange(len(numbers)), bounds, name)

    @classmethod
    def spooled(
        cls, batches: Iterable[Any], file: str | Path, *, bounds: Bounds = (0.0, 1.0), name: str = "stream"
    ) -> Self:
        """The examples of something that can be gone through once, such as a ``DataLoader`` of pairs (inputs, labels).

        Their inputs are written to ``file`` as they come, one batch in memory at a time, and read from there.
        """
        place, labels, shape, kind = Path(file), [np.empty(0, np.int64)], None, None
        with writing(place):
            out = place.open("wb")
        with out:
            for inputs, targets in batches:
                rows = _copied(inputs).contiguous().numpy()
                if shape not in (None, rows.shape[1:]) or kind not in (None, rows.dtype):
                    raise InputError(
                        f"{name} has a batch of {rows.dtype} {rows.shape} after one of {kind} {shape}; all must be alike"
                    )
                shape, kind = rows.shape[1:], rows.dtype
                labels.append(_copied(targets).numpy())
                with writing(place):
                    out.write(rows.tobytes())
                    out.flush()
        if shape is None or kind is None:
            raise InputError(f"{name} has no batches; at least one is needed")
        numbers = np.concatenate(labels)
        inputs = np.memmap(place, dtype=kind, mode="r", shape=(len(numbers), *shape))
        return cls.of(inputs, numbers, bounds=bounds, name=name)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1 if len(self) else 0

    def select(self, rows: Tensor | slice) -> Dataset:
        """The examples in these rows, in memory; they keep their numbers."""
        part = self.part(rows)
        return Dataset(self.read(part.index), part.labels, part.index, self.bounds, self.name)

    def part(self, rows: Tensor | slice) -> Self:
        """The examples in these rows, unread; they keep their numbers."""
        return attrs.evolve(self, labels=self.labels[rows], index=self.index[rows])

    def take(self, count: int | None) -> Self:
        """The first ``count`` examples (None: all), unread."""
        return self if count is None else self.part(slice(count))

    def batches(self, size: int) -> Iterator[Dataset]:
        """Consecutive parts of at most ``size`` examples, each read when its turn comes."""
        for first in range(0, len(self), size):
            yield self.select(slice(first, first + size))


def _counted(labels: Tensor, count: int, name: str) -> Tensor:
    """The labels as they are; raises ``InputError`` where there is not one for each row."""
    if labels.ndim < 1 or len(labels) != count:
        raise InputError(
            f"{name} has {count} rows and labels of shape {tuple(labels.shape)}; allowed is one label per row"
        )
    return labels


def _whole(labels: Tensor, count: int, name: str) -> Tensor:
    """The labels as integers; raises ``InputError`` where they are none, or not one for each row."""
    if labels.shape != (count,):
        raise InputError(
            f"{name} has {count} rows and labels of shape {tuple(labels.shape)}; allowed is one label per row"
        )
    numbers = labels.to(torch.int64)
    if bool((numbers != labels).any()):
        raise InputError(f"{name} has labels that are not whole numbers; allowed are the classes' numbers from 0")
    return numbers


def _reader_of_rows(source: Any) -> Reader:
    """Reads rows of an array."""

    def read(index: Tensor) -> Tensor:
        # files are read in their own order, and some kinds of them in no other
        rows, places = np.unique(index.cpu().numpy(), return_inverse=True)
        return _as_inputs(_copied(source[rows]))[torch.from_numpy(places)]

    return read


def _reader_of_pairs(source: Any) -> Reader:
    """Reads the inputs of pairs (input, label)."""

    def read(index: Tensor) -> Tensor:
        return _as_inputs(torch.stack([_copied(source[row][0]) for row in index.tolist()]))

    return read


def _copied(value: Any) -> Tensor:
    """A tensor of its own, whatever kind of array it was: a file that is mapped into memory cannot be written on."""
    return value.detach().clone() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))


def _as_inputs(raw: Tensor) -> Tensor:
    """Numbers as networks take them: bytes as shares of 255, in float32."""
    return raw.to(torch.float32) / 255 if raw.dtype == torch.uint8 else raw
