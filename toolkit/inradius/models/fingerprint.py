"""Fingerprints that distinguish networks."""

import hashlib
import inspect
from pathlib import Path

import torch
from torch import Tensor, nn


def fingerprint(model: nn.Module) -> str:
    """The SHA-256 of a network: of everything that its logits depend on, as far as Python can see it.

    It covers the structure's ``repr``, each module's plain attributes, the file that defines each class that is not
    PyTorch's own, and every parameter's and buffer's name, type, shape and bytes. The mode is left out.
    """
    digest = hashlib.sha256(repr(model).encode())
    for path, module in model.named_modules():
        digest.update(f"\0{path} {type(module).__qualname__} {_plain_attributes(module)}".encode())
    files = {file for module in model.modules() if (file := _source(type(module)))}
    for source in sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in files):
        digest.update(source)
    _update(digest, model)
    return digest.hexdigest()


def weights_fingerprint(model: nn.Module) -> str:
    """The SHA-256 of every parameter's and buffer's name, type, shape and bytes, and of nothing else."""
    digest = hashlib.sha256()
    _update(digest, model)
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", model: nn.Module) -> None:
    # buffers that the state dict leaves out are included
    for name, value in (dict(model.named_buffers()) | model.state_dict()).items():
        digest.update(f"\0{name}\0".encode())
        digest.update(_described(value))


def _plain_attributes(module: nn.Module) -> list[tuple[str, object]]:
    return sorted((k, v) for k, v in vars(module).items() if k[0] != "_" and k != "training" and _is_plain(v))


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str | torch.dtype)


def _source(kind: type) -> str | None:
    """The file that defines a class; None for PyTorch's own classes and for classes that have no file."""
    if kind.__module__.partition(".")[0] == "torch":
        return None
    try:
        file = inspect.getfile(kind)
    except (TypeError, OSError):
        return None
    return file if Path(file).is_file() else None


def _described(value: object) -> bytes:
    if not isinstance(value, Tensor):
        return repr(value).encode()
    raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return f"{value.dtype}{tuple(value.shape)}\0".encode() + raw.numpy().tobytes()
