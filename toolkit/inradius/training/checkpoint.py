"""Files of a run, each written whole or not at all."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inradius.errors import InputError


def write_atomic(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Puts ``content`` at ``path``; a killed write leaves what was there before.

    ``durable`` waits for the disk, which a file that can be made again from another one has no need of.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)


def save_weights(model: nn.Module, path: Path) -> None:
    """The model's state dict as safetensors."""
    write_atomic(path, weights_bytes(model.state_dict()))


def weights_bytes(weights: dict[str, Tensor]) -> bytes:
    """The file of these weights."""
    from safetensors.torch import save

    # a copy each, because safetensors refuses tensors that share memory (tied weights)
    content: bytes = save({name: value.detach().cpu().clone() for name, value in weights.items()})
    return content


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills the model from safetensors; raises ``InputError`` for a file that is none or does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from error
    if misfit := _misfit(weights, model.state_dict()):
        raise InputError(f"the weights in {path} do not fit the model: {misfit}; give the model they were saved from")
    model.load_state_dict(weights)


def _misfit(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> str | None:
    if missing := sorted(wanted.keys() - weights.keys()):
        return f"{missing[0]} is missing"
    if extra := sorted(weights.keys() - wanted.keys()):
        return f"{extra[0]} is not in the model"
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            return f"{name} has shape {tuple(value.shape)}, the model's has {tuple(wanted[name].shape)}"
    return None


def save_state(state: dict[str, Any], path: Path) -> None:
    """Whatever a run needs to go on: tensors, numbers, strings, lists and dicts."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What ``save_state`` wrote, or None where there is no such file; raises ``InputError`` for another file."""
    if not path.exists():
        return None
    # what was kept on the CPU stays there; the numbers of devices are those of another day

    def home(storage: Any, place: str) -> Any:
        return storage if place == "cpu" else storage.to(device=device)

    try:
        if not zipfile.is_zipfile(path):
            raise EOFError
        state: dict[str, Any] = torch.load(path, map_location=home, weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        # a full disk is where such a file may come from; what torch says of it is many lines long
        raise InputError(
            f"{str(path)!r} is not the state of a training run ({type(error).__name__}); give another folder, or fresh=True "
            "to start again"
        ) from error
    return state
