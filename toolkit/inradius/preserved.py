"""A model's state, put back after its forward has run for us."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def preserved(model: object) -> Iterator[None]:
    """While the block runs the model may assign to its attributes and write on its buffers; all of it is put back."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    states = [(vars(module), _copy(vars(module))) for module in modules]
    buffers = [
        (buffer, buffer.detach().clone(), _version(buffer))
        for module in modules
        for buffer in module._buffers.values()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for current, before in states:
            _restore(current, before)
        for buffer, value, version in buffers:
            if _version(buffer) != version:
                _write(buffer, value)


def _version(buffer: Tensor) -> int:
    """How often a buffer was changed in place; those made in inference mode do not count."""
    return 0 if buffer.is_inference() else buffer._version


@torch.no_grad()
def _write(buffer: Tensor, value: Tensor) -> None:
    buffer.copy_(value)


def _copy(given: Any) -> Any:
    """Containers copied, at every depth; what they hold is the same."""
    if isinstance(given, dict):
        return [(key, value, _copy(value)) for key, value in given.items()]
    if isinstance(given, list):
        return [(value, _copy(value)) for value in given]
    return set(given) if isinstance(given, set) else None


def _restore(current: Any, before: Any) -> None:
    """Containers made what they were when ``before`` was copied from them."""
    if isinstance(current, dict):
        kept = {key: value for key, value, _ in before}
        for _, value, copy in before:
            _restore(value, copy)
        if list(current) != list(kept) or any(current[key] is not value for key, value in kept.items()):
            current.clear()
            current.update(kept)
    elif isinstance(current, list):
        for value, copy in before:
            _restore(value, copy)
        current[:] = [value for value, _ in before]
    elif isinstance(current, set) and current != before:
        current.clear()
        current.update(before)
