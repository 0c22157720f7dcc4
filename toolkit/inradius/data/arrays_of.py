"""Tensors of their own from tensors, arrays, lists, numbers and pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inradius.errors import InputError

# modes of Pillow whose numbers are grey or red, green and blue, with or without opacity
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def tensor_of(given: Any, what: str) -> Tensor:
    """The numbers of a tensor, an array, a list, a number, or a picture, whose channels come first: (C, H, W).

    Raises ``InputError`` where they are no numbers, or lists of several lengths.
    """
    if isinstance(given, Tensor):
        if given.is_complex():
            raise InputError(f"{what} are {given.dtype}; allowed are real numbers")
        return given.detach().clone()
    if (
        isinstance(given, list | tuple)
        and given
        and any(isinstance(each, Tensor) or _is_picture(each) for each in given)
    ):
        return stacked([tensor_of(each, what) for each in given], what.removeprefix("the "))
    if _is_picture(given) and given.mode not in _PLAIN_MODES:
        # the numbers of a palette are no brightness
        given = given.convert("RGB")
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError(f"{what} are lists of several lengths; allowed is one shape for all") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what} are {array.dtype} ({type(given).__name__}); allowed are numbers")
    if array.dtype.kind == "u" and array.dtype != np.uint8:
        array = array.astype(np.int64)
    found = torch.from_numpy(np.array(array))
    if _is_picture(given):
        return found[None] if found.ndim == 2 else found.permute(2, 0, 1).contiguous()
    return found


def stacked(parts: Sequence[Tensor], what: str) -> Tensor:
    """Examples one after the other, (N, ...). Raises ``InputError`` where their shapes differ."""
    shapes = sorted({tuple(part.shape) for part in parts})
    if len(shapes) > 1:
        listed = ", ".join(map(str, shapes[:3]))
        raise InputError(f"the {what} have shapes {listed}; allowed is one shape for all, so resize them first")
    return torch.stack(list(parts))


def _is_picture(given: object) -> bool:
    """True for an image of Pillow, which is not imported for this question."""
    return type(given).__module__.partition(".")[0] == "PIL"
