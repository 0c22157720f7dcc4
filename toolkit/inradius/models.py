"""Networks by name or from a file, with their weights."""

import hashlib
import importlib.util
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from inradius.data import Dataset
from inradius.errors import InputError
from inradius.modes import evaluating
from inradius.registry import make
from inradius.subject import check_logits

T = TypeVar("T")

_FILE_SPEC = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")


def load_model(spec: str, weights: str | Path | None = None, device: str | torch.device | None = None) -> nn.Module:
    """The network that ``spec`` names, in eval mode, with the weights of a file and on a device where they are given.

    spec: a registered model (``mnist_small()``), or ``file.py:factory``, a function or class in a Python file, which is
    run and called without arguments. weights: ``.safetensors``, or ``.pt``/``.pth`` with a state dict (also one under the
    key ``state_dict``). Raises ``SpecError`` for an unknown name and ``InputError`` for files that are missing, fail or do
    not fit.
    """
    match = _FILE_SPEC.fullmatch(spec.strip())
    model = _from_file(Path(match["file"]).expanduser(), match["name"]) if match else make(spec, nn.Module)
    if weights is not None:
        _fill(model, spec, Path(weights).expanduser())
    return model.to(find_device(device)).eval()


def find_device(name: str | torch.device | None) -> torch.device:
    """The device of that name (None: the CPU). Raises ``InputError`` where this machine has none such."""
    try:
        device = torch.device(name or "cpu")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {str(name)!r} cannot be used here ({reason}); cpu always can") from error
    return device


def try_out(model: nn.Module, data: Dataset) -> None:
    """Runs the model on the first example. Raises ``InputError`` where it fails or does not return finite logits."""
    x = data.inputs[:1].to(next((tensor.device for tensor in model.state_dict().values()), None))
    with evaluating(model), torch.no_grad():
        try:
            logits = model(x)
        except Exception as error:  # a stranger's network may raise anything; the sentence says on what
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise InputError(
                f"the model fails on inputs of shape {tuple(x.shape)} from {data.name}: {type(error).__name__}: {reason}"
            ) from error
    check_logits(logits, 1)


def fingerprint(model: nn.Module) -> str:
    """The SHA-256 of a network: of its structure's ``repr`` and of every parameter's and buffer's name, type and bytes."""
    digest = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        digest.update(f"\0{name}\0".encode())
        digest.update(_described(value))
    return digest.hexdigest()


def _described(value: object) -> bytes:
    if not isinstance(value, Tensor):
        return repr(value).encode()
    raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return f"{value.dtype}{tuple(value.shape)}\0".encode() + raw.numpy().tobytes()


def _from_file(file: Path, name: str) -> nn.Module:
    if not file.is_file():
        raise InputError(
            f"there is no file {file}; a model is file.py:factory, or a name that `inradius list models` shows"
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
    """Lets the file import its neighbours, as when it is run as a script."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _import(file: Path) -> ModuleType:
    name = f"inradius_model_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    # dataclasses and pickle look a class's module up by its name
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _guarded(file: Path, what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except (Exception, SystemExit) as error:  # a user's file may raise anything; the sentence says where
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
        place = f" in line {lines[-1]}" if lines else ""
        raise InputError(f"{file} {what}: {type(error).__name__}{place}: {error}") from error


def _fill(model: nn.Module, spec: str, file: Path) -> None:
    state = _read(file)
    wanted = model.state_dict()
    problems = [
        _named("lacks", [name for name in wanted if name not in state]),
        _named("has the unknown", [name for name in state if name not in wanted]),
        *(
            f"has {name} of shape {tuple(state[name].shape)} where {tuple(value.shape)} is needed"
            for name, value in wanted.items()
            if name in state and isinstance(value, Tensor) and state[name].shape != value.shape
        ),
    ]
    if found := [problem for problem in problems if problem]:
        raise InputError(f"the weights {file} do not fit {spec}: the file {' and '.join(found[:2])}")
    model.load_state_dict(state)


def _named(verb: str, names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{verb} {', '.join(names[:3])}{rest}" if names else ""


def _read(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a weights file by their names."""
    if not file.is_file():
        raise InputError(f"there is no weights file {file}")
    try:
        if file.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(file)
            return tensors
        if file.suffix not in (".pt", ".pth"):
            raise InputError(f"{file} is no weights file that is known; allowed are .safetensors, .pt and .pth")
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the weights {file} cannot be read: {reason}") from error
    return _state_dict(found, file)


def _state_dict(found: object, file: Path) -> Mapping[str, Tensor]:
    state = found.get("state_dict", found) if isinstance(found, Mapping) else found
    # the thesis's checkpoints hold a list, of one network or of a cascade
    if isinstance(state, list) and len(state) == 1:
        state = state[0]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"{file} holds no state dict; allowed is a dict of tensors, also one under the key 'state_dict'"
        )
    return state
