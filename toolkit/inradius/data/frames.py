"""Tables of pandas: features, labels, and what the table states of its features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inradius.data.dataset import Bounds
from inradius.errors import InputError


def is_frame(source: object) -> bool:
    """True for a table of pandas, which is not imported for this question."""
    return type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns")


def of_frame(table: Any, labels: Any, mask: str | Path | None) -> tuple[Tensor, Tensor, Bounds]:
    """The features (N, F) in the table's order, the labels (N,), and the box that ``attrs["bounds"]`` states, else None.

    ``labels`` is the name of a column, or the labels themselves. Columns that ``attrs["immutable"]`` lists are the zeros of
    the file ``mask``. Raises ``InputError`` for columns that are no numbers, missing values, and statements that fit no column.
    """
    named = isinstance(labels, str)
    if labels is None or (named and labels not in table.columns):
        raise InputError(
            f"labels={labels!r} is no column of the table; allowed are {', '.join(map(str, table.columns))}"
        )
    features = table.drop(columns=[labels]) if named else table
    names = list(features.columns)
    if len(set(names)) < len(names):
        raise InputError(
            f"the table has columns of one name; allowed is a name of its own for each of {_listed(names)}"
        )
    _check(features, names)
    values = torch.from_numpy(features.to_numpy(dtype=np.float64).copy())
    given = np.asarray(table[labels] if named else labels)
    if given.dtype.kind not in "fiub":
        raise InputError(f"the labels are {given.dtype}; allowed are numbers, such as those of pandas.factorize")
    _write_mask(table.attrs.get("immutable"), names, mask)
    return values, torch.from_numpy(np.array(given)), _bounds(table.attrs.get("bounds"), names)


def _check(features: Any, names: list[Any]) -> None:
    bad = [name for name in names if features[name].dtype.kind not in "fiub"]
    if bad:
        raise InputError(
            f"the columns {', '.join(map(str, bad))} are no numbers; allowed are numbers, so encode or drop them first"
        )
    holes = [name for name in names if bool(features[name].isna().any())]
    if holes:
        raise InputError(f"the columns {', '.join(map(str, holes))} have missing values; allowed are tables without")


def _bounds(stated: object, names: list[Any]) -> Bounds:
    if stated is None:
        return None
    if not isinstance(stated, Mapping) or set(stated) != set(names):
        raise InputError(
            f"the table states bounds of {_listed(stated)}; allowed is a dict with (low, high) for each of {_listed(names)}"
        )
    try:
        low, high = torch.tensor([tuple(map(float, stated[name])) for name in names], dtype=torch.float64).T
    except (TypeError, ValueError) as error:
        raise InputError(
            "the table states bounds that are no pairs of numbers; allowed is (low, high) for each column"
        ) from error
    if not bool((low < high).all()):
        raise InputError(
            "the table states bounds with low ≥ high; allowed is low < high, and attrs['immutable'] for what is fixed"
        )
    return low, high


def _write_mask(stated: object, names: list[Any], file: str | Path | None) -> None:
    """Writes zeros for the columns that are stated to be immutable, and ones for the others."""
    if stated is None:
        if file is not None:
            raise InputError(
                "mask is given and the table states no attrs['immutable']; allowed is a list of its columns there"
            )
        return
    if not isinstance(stated, list | tuple) or not set(stated) <= set(names):
        raise InputError(f"the table states {_listed(stated)} as immutable; allowed is a list of {_listed(names)}")
    if file is None:
        raise InputError(
            f"the table states that {_listed(stated)} are immutable; give mask='FILE.npy' to write that, and the set the file, as "
            "in linf(eps=0.1, mask='FILE.npy')"
        )
    np.save(file, np.array([float(name not in stated) for name in names]))


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list | tuple | Mapping) else repr(names)
