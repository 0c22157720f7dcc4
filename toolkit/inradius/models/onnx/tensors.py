"""Tensors of a file, with their types and sizes checked before they are made."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inradius.errors import InputError, UnsupportedError
from inradius.models.onnx.library import onnx_library
from inradius.models.onnx.limits import MOST_AXES

# the numbers of ``TensorProto.DataType``
DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip
# how the package onnx spells a type in the schemas of operators
SPELLED = {
    torch.float32: "tensor(float)", torch.uint8: "tensor(uint8)", torch.int8: "tensor(int8)",
    torch.int16: "tensor(int16)", torch.int32: "tensor(int32)", torch.int64: "tensor(int64)",
    torch.bool: "tensor(bool)", torch.float16: "tensor(float16)", torch.float64: "tensor(double)",
    torch.bfloat16: "tensor(bfloat16)",
}  # fmt: skip
_LONGEST = 2**31
External = Callable[[Any, int], bytes]


def dtype_of(number: int, what: str) -> torch.dtype:
    """The type with this number. Raises ``UnsupportedError`` for another, as strings, complex numbers and 4-bit numbers are."""
    if number not in DTYPES:
        names = {value: name for name, value in onnx_library(what).TensorProto.DataType.items()}
        raise UnsupportedError(
            f"{what} has the type {names.get(number, number)}; allowed are floating-point numbers, integers and truth values"
        )
    return DTYPES[number]


def read_tensor(proto: Any, what: str, external: External) -> Tensor:
    """The tensor that a file stores, as it is shaped there. ``external`` reads bytes beside the file.

    Raises ``InputError`` where the file announces another number of values than it holds.
    """
    dtype, shape = dtype_of(proto.data_type, what), tuple(proto.dims)
    if len(shape) > MOST_AXES or not all(0 <= length <= _LONGEST for length in shape):
        raise InputError(
            f"{what} has the shape {shape[:MOST_AXES]}; allowed are at most {MOST_AXES} lengths, from 0 to {_LONGEST}"
        )
    if proto.HasField("segment"):
        raise UnsupportedError(f"{what} is stored in segments; allowed is one piece")
    count = math.prod(shape)
    if proto.data_location == 1:
        raw = external(proto, count * dtype.itemsize)
    elif proto.HasField("raw_data"):
        raw = proto.raw_data
    else:
        return _from_list(proto, dtype, count, what).reshape(shape)
    if len(raw) != count * dtype.itemsize:
        raise InputError(
            f"{what} has {len(raw)} bytes where its shape {shape} of {_plain(dtype)} needs {count * dtype.itemsize}"
        )
    if not count:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bool:
        return torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(shape) != 0
    # numbers are stored with their lowest byte first, as this machine has them
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)


def _from_list(proto: Any, dtype: torch.dtype, count: int, what: str) -> Tensor:
    """The values of a tensor that is stored number by number."""
    field, kept = _FIELDS[dtype]
    values = getattr(proto, field)
    if len(values) != count:
        raise InputError(f"{what} has {len(values)} numbers where its shape {tuple(proto.dims)} needs {count}")
    found = np.fromiter(values, dtype=kept, count=count)
    if dtype in (torch.float16, torch.bfloat16):
        # half precision is stored as its bits
        return torch.from_numpy(found.astype(np.uint16).view(np.int16).copy()).view(dtype)
    return torch.from_numpy(found).to(dtype)


_FIELDS: dict[torch.dtype, tuple[str, Any]] = {
    torch.float32: ("float_data", np.float32),
    torch.float64: ("double_data", np.float64),
    torch.int64: ("int64_data", np.int64),
    **dict.fromkeys((torch.float16, torch.bfloat16), ("int32_data", np.int64)),
    **dict.fromkeys((torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool), ("int32_data", np.int32)),
}


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
