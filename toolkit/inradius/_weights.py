"""Weights from files: read without running code, and checked to fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from inradius.errors import InputError


def fill(model: nn.Module, spec: str, file: Path) -> None:
    """Gives the model the weights of a file. Raises ``InputError`` where there are none or they do not fit."""
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
