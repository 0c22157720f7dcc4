"""Networks by name or from a file, with their weights."""

import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from torch import nn

from inradius.components.registry import make
from inradius.errors import InputError
from inradius.models.check import check_forward as check_forward
from inradius.models.fingerprint import fingerprint as fingerprint
from inradius.models.fingerprint import weights_fingerprint as weights_fingerprint
from inradius.models.onnx.read import read_onnx
from inradius.models.weights import fill

T = TypeVar("T")

_FILE_SPEC = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")
_ONNX = ".onnx"


def load_model(spec: str, weights: str | Path | None = None, device: str | torch.device | None = None) -> nn.Module:
    """The network that ``spec`` names, in eval mode, with the weights of a file and on a device where these are given.

    spec: a registered model (``mnist_small()``), ``file.py:factory``, a function or class in a Python file, which is
    run and called without arguments, or the name of an ONNX file, ``net.onnx``. weights: a file that ``load_weights``
    reads. Raises ``SpecError`` for an unknown name, ``InputError`` for files that are missing, fail or do not fit, and
    ``UnsupportedError`` for a node of an ONNX file that the reader does not know.
    """
    model = _named(spec.strip())
    if weights is not None:
        fill(model, spec, Path(weights).expanduser())
    return model.to(find_device(device)).eval()


def load_weights(model: nn.Module, file: str | Path) -> nn.Module:
    """The model, in eval mode, with the weights of a file, which may come from other software.

    The file is ``.safetensors``, or a pickle (``.pt``, ``.pth``, ``.tar``, ``.ckpt``, ``.bin``) with a state dict, also
    one under a key such as ``state_dict`` or ``model``. Pickles are read with ``weights_only``, so that none of their
    code runs. Names may begin with those of wrappers (``module.``, ``model.``, ``_orig_mod.``). They may also lack the
    prefix that the model puts before all names, as ``nn.Sequential(Normalize(...), network)`` does. Where the file has
    no numbers of ``Normalize``, the model keeps its own. Raises ``InputError`` for a file that is missing, cannot be
    read or does not fit.
    """
    fill(model, type(model).__name__, Path(file).expanduser())
    return model.eval()


def is_file(spec: str) -> bool:
    """True where a model's spec is ``file.py:factory`` or ``net.onnx``, and not a name."""
    return is_onnx(spec) or _FILE_SPEC.fullmatch(spec.strip()) is not None


def is_onnx(spec: str) -> bool:
    """True where a model's spec is the name of an ONNX file."""
    return spec.strip().endswith(_ONNX)


def find_device(name: str | torch.device | None) -> torch.device:
    """The device of that name (None: the CPU). Raises ``InputError`` where this machine has no such device."""
    try:
        # the device of a tensor includes the device's number
        return torch.empty(0, device=name or "cpu").device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {str(name)!r} cannot be used here ({reason}); cpu always can") from error


def _named(spec: str) -> nn.Module:
    """The network with this name, or in this file."""
    if is_onnx(spec):
        return read_onnx(spec)
    match = _FILE_SPEC.fullmatch(spec)
    return _from_file(Path(match["file"]).expanduser(), match["name"]) if match else make(spec, nn.Module)


def _from_file(file: Path, name: str) -> nn.Module:
    if not file.is_file():
        raise InputError(
            f"there is no file {file}; a model is file.py:factory, net.onnx, or a name that `inradius list models` shows"
        )
    with _beside(file):
        module = _guarded(file, "does not run", lambda: _import(file))
        if not hasattr(module, name):
            known = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
            raise InputError(f"{file} has no {name!r}; what can be called there is {known or 'nothing'}")
        found = getattr(module, name)
        model = found if isinstance(found, nn.Module) else _guarded(file, f"fails in {name}()", found)
    if not isinstance(model, nn.Module):
        raise InputError(f"{name} in {file} makes a {type(model).__name__}; allowed is a torch.nn.Module")
    return model


@contextmanager
def _beside(file: Path) -> Iterator[None]:
    """A block in which the file can import its neighbours, as when it runs as a script."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:  # the file may have removed it
            sys.path.remove(folder)


def _import(file: Path) -> ModuleType:
    name = f"inradius_model_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    # dataclasses and pickle find a class's module by its name
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(file)
    # not through the import system, which would reuse bytecode after an edit within the same second
    exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
    return module


def _guarded(file: Path, what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except (Exception, SystemExit) as error:  # a user's file may raise anything; the sentence names the line
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
        place = f" in line {lines[-1]}" if lines else ""
        raise InputError(f"{file} {what}: {type(error).__name__}{place}: {error}") from error
