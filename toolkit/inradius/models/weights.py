"""Weights from files, read without running code and checked to fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from inradius.errors import InputError
from inradius.models.renaming import renamed
from inradius.stored.reading import check

# the keys under which training scripts store weights, in the order of the search
_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
_PICKLES = (".pt", ".pth", ".tar", ".ckpt", ".bin")


def fill(model: nn.Module, spec: str, file: Path) -> None:
    """Writes the weights of a file into the model. Raises ``InputError`` where they are missing or do not fit."""
    wanted = model.state_dict()
    state = renamed(_read(file), model)
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
    for name, value in wanted.items():
        if isinstance(value, Tensor) and (reason := _lost(state[name], value.dtype)):
            raise InputError(f"the weights {file} do not fit {spec}: {name} {reason}")
    model.load_state_dict(state)


def _lost(value: Tensor, wanted: torch.dtype) -> str | None:
    """The reason why a tensor loses information in the wanted type; None where it is only rounded."""
    if _kind(value.dtype) != _kind(wanted):
        return (
            f"is {_named_type(value.dtype)} where {_named_type(wanted)} is needed; allowed are numbers of the same kind"
        )
    if wanted.is_floating_point and bool((value.isfinite() & ~value.to(wanted).isfinite()).any()):
        return f"has a number that is infinite in {_named_type(wanted)}; allowed are numbers of its range"
    return None


def _kind(dtype: torch.dtype) -> str:
    return "floating" if dtype.is_floating_point else "complex" if dtype.is_complex else "whole"


def _named_type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _named(verb: str, names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{verb} {', '.join(names[:3])}{rest}" if names else ""


def _read(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a weights file by their names."""
    if not file.is_file():
        raise InputError(f"there is no weights file {file}")
    if file.suffix not in (".safetensors", *_PICKLES):
        raise InputError(
            f"{file} is not a known weights file; allowed are .safetensors, .pt and .pth (also .tar, .ckpt, .bin)"
        )
    check(file)
    try:
        if file.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(file)
            return tensors
        found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # a pickled object may run code when it is read, so none is built
        raise InputError(
            f"the weights {file} cannot be read without running code from the file ({_reason(error)}); "
            "allowed are tensors in dicts and lists, as torch.save(network.state_dict(), file) writes them"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the weights {file} cannot be read: {_reason(error)}") from error
    return _state_dict(found, file)


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _state_dict(found: object, file: Path) -> Mapping[str, Tensor]:
    state = found
    # at most as deep as there are keys, because a dict may hold itself
    for _ in _KEYS:
        if isinstance(state, Mapping) and (key := next((k for k in _KEYS if _holds_more(state.get(k))), None)):
            state = state[key]
    # the thesis's checkpoints hold a list of one network or of a cascade
    if isinstance(state, list) and len(state) == 1:
        state = state[0]
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise InputError(
            f"{file} holds no state dict; allowed is a dict of tensors, also one under the key "
            f"{', '.join(repr(key) for key in _KEYS[:-1])} or {_KEYS[-1]!r}"
        )
    return state


def _holds_more(value: object) -> bool:
    return isinstance(value, Mapping | list)
