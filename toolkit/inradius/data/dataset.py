"""Labelled data: a set of images with what their pixels may be."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError

Bounds = tuple[float | Tensor, float | Tensor] | None


class Examples(Protocol):
    """The five names that the bracket asks of data: a ``Dataset`` in memory, a ``LazyDataset``, or a class of one's own.

    labels (N,) and index (N,) are in memory; ``select`` reads the inputs of some rows.
    """

    @property
    def labels(self) -> Tensor: ...

    @property
    def index(self) -> Tensor: ...

    @property
    def bounds(self) -> Bounds: ...

    @property
    def name(self) -> str: ...

    def select(self, rows: Tensor) -> "Dataset":
        """The examples in these rows, in memory; they keep their numbers."""
        ...


@attrs.frozen(eq=False)
class Dataset:
    """Labelled examples in memory.

    inputs (N, *S), labels (N,), or (N, ...) for outcomes that take such, index (N,): each example's number in its source, which
    keys its random numbers and names it in reports; bounds: the box of valid inputs, each side a number or a tensor with one
    for each channel, feature or pixel, or None; name: the spec it was made from; targets (N, C): distributions over the classes
    where the labels are mixed, None where they are not; source (N,): the number of the set that an example is from, where
    several were joined.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    bounds: Bounds = (0.0, 1.0)
    name: str = "data"
    targets: Tensor | None = None
    source: Tensor | None = None

    @classmethod
    def of(
        cls, inputs: Tensor, labels: Tensor, *, bounds: Bounds = (0.0, 1.0), name: str = "data", classes: bool = True
    ) -> Self:
        """A data set numbered from 0. Raises ``InputError`` where inputs and labels do not go together.

        With ``classes=False`` labels (N, ...) need not be classes: numbers, or several for each input, as an outcome takes them.
        """
        for given, what in ((inputs, "inputs"), (labels, "labels")):
            if not isinstance(given, Tensor):
                raise InputError(
                    f"the {what} of {name} are a {type(given).__name__}; allowed is a tensor, and inradius.as_dataset takes "
                    "arrays and lists"
                )
        if not classes and inputs.ndim and labels.ndim and len(inputs) == len(labels):
            return cls(inputs, labels, torch.arange(len(inputs)), bounds, name)
        if not inputs.ndim:
            raise InputError(f"the inputs of {name} are one number; allowed is a tensor with a row for each input")
        if labels.ndim != 1 or len(inputs) != len(labels):
            raise InputError(
                f"{name} has {len(inputs)} inputs and labels of shape {tuple(labels.shape)}; allowed is one label per input"
            )
        numbers = labels.to(torch.int64)
        if bool((numbers != labels).any()):
            raise InputError(f"{name} has labels that are not whole numbers; allowed are the classes' numbers from 0")
        return cls(inputs, numbers, torch.arange(len(inputs)), bounds, name)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1 if len(self) else 0

    def select(self, rows: Tensor | slice) -> Self:
        """A part of the data; the examples keep their numbers."""
        return self._map(lambda values: values[rows])

    def take(self, count: int | None) -> Self:
        """The first ``count`` examples (None: all)."""
        return self if count is None else self.select(slice(count))

    def batches(self, size: int) -> Iterator[Self]:
        """Consecutive parts of at most ``size`` examples."""
        for first in range(0, len(self), size):
            yield self.select(slice(first, first + size))

    def to(self, device: torch.device | str) -> Self:
        """The same data on another device."""
        return self._map(lambda values: values.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same change to every tensor."""
        names = ("inputs", "labels", "index", "targets", "source")
        given = {name: getattr(self, name) for name in names}
        changed: dict[str, Any] = {name: change(value) for name, value in given.items() if value is not None}
        return attrs.evolve(self, **changed)
