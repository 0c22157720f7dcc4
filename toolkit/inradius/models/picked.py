"""The tensor among a model's outputs that is meant where a model returns more than a tensor."""

from collections.abc import Iterator, Mapping
from typing import cast

from torch import Tensor

from inradius.errors import InputError

_LOGITS = "logits"


def picked(outputs: object) -> object:
    """The outputs as a tensor: those named ``logits`` of a dict or an object with names, else the only tensor there is.

    What holds no tensor comes back as it is, for the check that names it. Raises ``InputError``, with the remedy, where
    several tensors could be meant.
    """
    if isinstance(outputs, Tensor):
        return outputs
    found = dict(_named(outputs))
    if _LOGITS in found:
        return found[_LOGITS]
    if len(found) > 1:
        listed = ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in found.items())
        first = next(iter(found))
        raise InputError(
            f"the model returned a {type(outputs).__name__} of the tensors {listed}; allowed is one of them, as in "
            f"inradius.Selected(model, {first!r}), or selected(MODEL, output={first!r}) in a spec"
        )
    return next(iter(found.values()), outputs)


def named_output(outputs: object, name: str | int) -> Tensor:
    """The tensor with this name, or in this place. Raises ``InputError`` with those that there are."""
    found = dict(_named(outputs))
    if name not in found:
        listed = ", ".join(f"{key!r} {tuple(value.shape)}" for key, value in found.items())
        raise InputError(
            f"the model returned no tensor {name!r} but a {type(outputs).__name__}; allowed here are {listed or 'none'}"
        )
    return found[name]


def _named(outputs: object) -> Iterator[tuple[str | int, Tensor]]:
    """The tensors among outputs, by name or place; of an object those of its attributes."""
    pairs: Iterator[tuple[object, object]] = iter(())
    if isinstance(outputs, Mapping):
        pairs = iter(outputs.items())
    elif isinstance(outputs, tuple) and hasattr(outputs, "_fields"):
        pairs = zip(outputs._fields, outputs, strict=True)
    elif isinstance(outputs, tuple | list):
        pairs = iter(enumerate(outputs))
    elif hasattr(outputs, "__dict__") and not isinstance(outputs, type):
        pairs = iter(vars(outputs).items())
    return ((cast("str | int", name), value) for name, value in pairs if isinstance(value, Tensor))
