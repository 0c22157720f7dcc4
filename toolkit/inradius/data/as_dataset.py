"""``inradius.as_dataset``: labelled data from what people have them in."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.utils.data
from torch import Tensor

from inradius.data.arrays_of import stacked, tensor_of
from inradius.data.dataset import Bounds, Dataset
from inradius.data.frames import is_frame, of_frame
from inradius.errors import InputError

# the names under which libraries keep inputs and labels
INPUTS = ("inputs", "image", "images", "pixel_values", "img", "x", "data", "features")
LABELS = ("labels", "label", "y", "target", "targets", "fine_label")
STATED: Any = "as stated"


def as_dataset(
    source: Any,
    labels: Any = None,
    *,
    inputs: str | None = None,
    bounds: Bounds | str = STATED,
    mask: str | Path | None = None,
    name: str | None = None,
    classes: bool = True,
) -> Dataset:
    """Labelled data in memory from arrays, lists, data sets, loaders of batches, tables, or what scikit-learn returns.

    ``source`` is one of: inputs, with ``labels`` beside them; a pair of both; a dict or ``Bunch`` of both; a pandas table; a
    torch ``Dataset`` of pairs or dicts; a ``DataLoader`` or another iterable of batches. ``inputs`` and ``labels`` may be
    the names of a dict's entries or of a table's column; without them common names are looked for.
    Unsigned bytes are divided by 255, which the name of the data then says.

    ``bounds`` is the box of valid inputs, as of a ``Dataset``. Without it a table's is what its ``attrs["bounds"]`` states, a
    dict of columns; images, which have two axes or more, are in [0, 1]; features have none. Columns that a table states in
    ``attrs["immutable"]`` are written as zeros to the file ``mask`` (.npy), for the ``mask`` of a set. Nothing is guessed from
    the numbers. ``classes`` is that of ``Dataset.of``. Raises ``InputError`` for what holds no inputs with labels.
    """
    if mask is not None and not is_frame(source):
        raise InputError(
            "mask is given beside data that are no table; allowed is a table whose attrs['immutable'] lists columns"
        )
    if is_frame(source):
        found, targets, stated = of_frame(source, labels, mask)
        default: Bounds = stated
    else:
        found, targets = _split(source, labels, inputs)
        default = (0.0, 1.0) if found.ndim > 2 else None
    told = name or type(source).__name__
    if found.dtype == torch.uint8:
        _check_bytes(bounds)
        found, default, told = found.float() / 255, (0.0, 1.0), f"{told} (bytes divided by 255)"
    elif not found.is_floating_point():
        found = found.float()
    # numpy's own type of numbers is float64; networks take float32
    found = found.float() if found.dtype == torch.float64 and not _is_double_tensor(source) else found
    box = default if isinstance(bounds, str) else bounds
    return Dataset.of(found, targets, bounds=box, name=told, classes=classes)


def _check_bytes(bounds: Bounds | str) -> None:
    """Raises ``InputError`` where a box goes beyond what bytes are after a division by 255."""
    sides = () if bounds is None or isinstance(bounds, str) else bounds
    if any(bool((torch.as_tensor(side) > 1).any()) for side in sides):
        raise InputError(
            "bounds above 1 are given beside bytes, which are divided by 255; allowed are bounds within [0, 1], or inputs as "
            "floating-point numbers"
        )


def as_examples(given: Any) -> Any:
    """The data of a bracket: those that are such already as they are, pairs, data sets, loaders and tables as a ``Dataset``.

    Anything else comes back as it is, for the check that names it.
    """
    if hasattr(given, "labels") and hasattr(given, "select"):
        return given
    pair = isinstance(given, tuple) and len(given) == 2
    loads = isinstance(given, Mapping | torch.utils.data.Dataset | torch.utils.data.DataLoader)
    return as_dataset(given) if pair or loads else given


def _is_double_tensor(source: object) -> bool:
    first = source[0] if isinstance(source, tuple) and source else source
    return isinstance(first, Tensor) and first.dtype == torch.float64


def _split(source: Any, labels: Any, inputs: str | None) -> tuple[Tensor, Tensor]:
    """The inputs (N, *S) and the labels (N, ...)."""
    if isinstance(source, Mapping):
        return _of_mapping(source, labels, inputs)
    if labels is not None and not isinstance(labels, str):
        return tensor_of(source, "the inputs"), tensor_of(labels, "the labels")
    if isinstance(source, tuple) and len(source) == 2:
        return tensor_of(source[0], "the inputs"), tensor_of(source[1], "the labels")
    if isinstance(source, Tensor | np.ndarray | str | bytes) or not _goes_through(source):
        raise InputError(
            f"the data are a {type(source).__name__} without labels; allowed are as_dataset(x, y), a pair of both, a dict, a "
            "pandas table, a torch Dataset, or a DataLoader"
        )
    return _of_items(source, labels, inputs)


def _goes_through(source: object) -> bool:
    return isinstance(source, Iterable) or (hasattr(source, "__len__") and hasattr(source, "__getitem__"))


def _of_items(source: Any, labels: str | None, inputs: str | None) -> tuple[Tensor, Tensor]:
    """Of a data set its examples one by one; of a loader its batches, one after the other."""
    # those that can only be gone through inherit a __getitem__ that raises
    single = (
        hasattr(source, "__getitem__")
        and hasattr(source, "__len__")
        and not isinstance(source, torch.utils.data.IterableDataset)
    )
    items = (source[row] for row in range(len(source))) if single else iter(source)
    pairs = [_pair(item, labels, inputs) for item in items]
    if not pairs:
        raise InputError(f"the {type(source).__name__} is empty; at least one example is needed")
    join = stacked if single else _joined
    return join([x for x, _ in pairs], "inputs"), join([y for _, y in pairs], "labels")


def _joined(parts: list[Tensor], what: str) -> Tensor:
    shapes = sorted({tuple(part.shape[1:]) for part in parts})
    if len(shapes) > 1 or any(not part.ndim for part in parts):
        raise InputError(
            f"the {what} of the batches have shapes {', '.join(map(str, shapes))}; all must be alike, with a first axis"
        )
    return torch.cat(parts)


def _pair(item: object, labels: str | None, inputs: str | None) -> tuple[Tensor, Tensor]:
    if isinstance(item, Mapping):
        return _of_mapping(item, labels, inputs)
    if isinstance(item, tuple | list) and len(item) == 2:
        return tensor_of(item[0], "the inputs"), tensor_of(item[1], "the labels")
    told = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else type(item).__name__
    raise InputError(f"the data give a {told} at a time; allowed are pairs (input, label), and dicts of both")


def _of_mapping(given: Mapping[Any, Any], labels: Any, inputs: str | None) -> tuple[Tensor, Tensor]:
    x = _entry(given, inputs, INPUTS, "inputs")
    y = _entry(given, labels, LABELS, "labels") if labels is None or isinstance(labels, str) else labels
    return tensor_of(x, "the inputs"), tensor_of(y, "the labels")


def _entry(given: Mapping[Any, Any], name: str | None, known: tuple[str, ...], option: str) -> Any:
    names = [name] if name is not None else [each for each in known if each in given]
    if len(names) != 1 or names[0] not in given:
        listed = ", ".join(map(repr, given)) or "none"
        wanted = (
            f"no {name!r}" if name is not None else "several that could be meant" if names else "none that is known"
        )
        raise InputError(f"the data have the entries {listed}, {wanted}; name the {option} by {option}='...'")
    return given[names[0]]
