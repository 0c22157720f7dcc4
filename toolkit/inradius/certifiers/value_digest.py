"""A hash of an object and of everything that its attributes hold."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import distribution
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any

import attrs
import numpy as np
import torch

from inradius.certifiers.search_states import question_hash, tensor_bytes

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
_PATHS = (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
_HOLDERS = (dict, OrderedDict, tuple, list, set, frozenset, torch.Size)


def value_digest(value: object) -> str | None:
    """A hash of an object's class and attributes, theirs included, with the numbers of all tensors and arrays.

    Cached properties do not count, as they follow from the rest. None where the attributes do not tell all: for objects of
    classes that do not come with inradius, whose code may change or read what no attribute holds, for functions, open files,
    sparse tensors and whatever else is not written out in full.
    """
    try:
        return question_hash(*_parts(value, ()))
    except _UntoldError:
        return None


class _UntoldError(Exception):
    """An object is not written out by its attributes."""


def _parts(value: object, within: tuple[int, ...]) -> Iterator[bytes]:
    """The pieces of an object, which lies within objects of these identities."""
    kind = type(value)
    yield f"{kind.__module__} {kind.__qualname__}".encode()
    if id(value) in within:
        raise _UntoldError
    inside = (*within, id(value))
    if kind in _PLAIN or kind in _PATHS:
        yield repr(value).encode()
    elif isinstance(value, torch.Tensor):
        yield _tensor(value)
    elif isinstance(value, np.ndarray | np.generic):
        yield _array(value)
    elif kind in _HOLDERS:
        yield from _held(value, inside)
    else:
        yield from _pairs(_attributes(value), inside)


def _tensor(value: torch.Tensor) -> bytes:
    dense = value.layout == torch.strided and not value.is_quantized
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or not dense:
        raise _UntoldError
    return tensor_bytes(value)


def _array(value: np.ndarray | np.generic) -> bytes:
    numbers = np.asarray(value)
    if numbers.dtype.hasobject or (isinstance(value, np.ndarray) and type(value) is not np.ndarray):
        raise _UntoldError
    return f"{numbers.dtype.str} {numbers.shape} ".encode() + numbers.tobytes()


def _held(value: object, inside: tuple[int, ...]) -> Iterator[bytes]:
    if isinstance(value, dict):
        yield from _pairs(value, inside)
    elif isinstance(value, frozenset | set):
        yield from sorted(question_hash(*_parts(each, inside)).encode() for each in value)
    elif isinstance(value, tuple | list):
        yield str(len(value)).encode()
        for each in value:
            yield from _parts(each, inside)


def _pairs(given: Mapping[Any, object], inside: tuple[int, ...]) -> Iterator[bytes]:
    yield str(len(given)).encode()
    for name, held in given.items():
        yield from _parts(name, inside)
        yield from _parts(held, inside)


def _attributes(value: object) -> dict[str, object]:
    """The attributes that an object of a class of inradius holds itself, by name."""
    kind = type(value)
    declared = _declared(kind)
    # Python keeps names with two underscores under other ones
    if kind.__module__.partition(".")[0] not in _own_packages() or any(name.startswith("__") for name in declared):
        raise _UntoldError
    # a subclass of float, dict and the like holds more than its attributes
    if any(base.__module__ == "builtins" for base in kind.__mro__[:-1]):
        raise _UntoldError
    names = {*declared, *getattr(value, "__dict__", {})} - _cached(kind)
    return {name: getattr(value, name) for name in sorted(names) if hasattr(value, name)}


@cache
def _own_packages() -> set[str]:
    """The packages that come with inradius."""
    plugins = distribution("inradius").entry_points.select(group="inradius")
    return {"inradius", *(plugin.module.partition(".")[0] for plugin in plugins)}


def _declared(kind: type) -> set[str]:
    """The names in the ``__slots__`` of a class and its bases."""
    found: set[str] = set()
    for each in kind.__mro__:
        slots = vars(each).get("__slots__", ())
        found.update((slots,) if isinstance(slots, str) else slots)
    return found - {"__weakref__", "__dict__"}


def _cached(kind: type) -> set[str]:
    """The names of the cached properties of a class; attrs makes places of those of its classes that are no fields."""
    found = {name for each in kind.__mro__ for name, held in vars(each).items() if isinstance(held, cached_property)}
    for each in kind.__mro__:
        if "__attrs_attrs__" in vars(each):
            fields = {field.name for field in attrs.fields(each)}
            found |= {name for name in vars(each).get("__slots__", ()) if name not in fields}
    return found
