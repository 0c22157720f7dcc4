"""Networks that a component uses beside the model, named by a spec; their files are identified by a hash of their content."""

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from inradius.errors import InputError
from inradius.models.load import is_onnx, load_model

_MARK = "#sha256="
_DIGITS = 16


def hashed(value: object) -> object:
    """``file#sha256=...`` for the name of a file, with or without a hash; any other value unchanged, for the validator.

    Raises ``InputError`` for a file that is missing or whose content does not match the hash.
    """
    return _reference(value, value) if isinstance(value, str) else value


def hashed_spec(value: object) -> object:
    """A network's spec; for a Python file, ``file.py:factory``, or an ONNX file with that file's hash."""
    if not isinstance(value, str):
        return value
    if is_onnx(_plain(value)):
        return _reference(value, value)
    file, colon, _ = _plain(value).rpartition(":")
    return _reference(value, file) if colon and file.endswith(".py") else value


@lru_cache(maxsize=4)
def frozen_network(model: str, weights: str | None, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network in eval mode, with parameters that need no gradient. Raises ``InputError`` where a file has changed."""
    for reference in (hashed_spec(model), hashed(weights)):
        # the hash is compared where the reference is made
        assert reference in (model, weights)
    with torch.random.fork_rng([]):
        # a fixed seed, so that a run draws the same numbers whether the network was made before or not
        torch.default_generator.manual_seed(0)
        found = load_model(_plain(model), None if weights is None else _plain(weights), device)
    return found.to(dtype).eval().requires_grad_(False)


def _plain(reference: str) -> str:
    return reference.partition(_MARK)[0]


def _reference(given: str, file: str) -> str:
    path = Path(_plain(file)).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {_plain(file)}; needed is a network's file or that of its weights")
    found = f"{_plain(given)}{_MARK}{hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]}"
    if _MARK in given and found != given:
        raise InputError(f"{_plain(file)} has changed since {given!r} was written; allowed is the file with that hash")
    return found
