"""A model's structure, which is compared to tell if the model is still the recorded one."""

from typing import Any

import attrs
from torch import Tensor, nn


@attrs.frozen(eq=False)
class ModelStructure:
    """A model's modules with their modes, hooks, attributes and tensors at one moment.

    The modules below the model are held, so that no other module can take their place in memory unnoticed. The recording holds
    the tensors in the same way. Changed numbers in a tensor do not change the structure.
    """

    parts: tuple[nn.Module, ...]
    facts: tuple[Any, ...]

    @classmethod
    def of(cls, model: nn.Module) -> "ModelStructure":
        """The present structure of a model."""
        modules = list(model.modules())
        return cls(tuple(modules[1:]), tuple(_facts(module) for module in modules))

    def same(self, other: "ModelStructure") -> bool:
        """True if nothing has changed."""
        alike = len(self.parts) == len(other.parts) and all(map(_is, self.parts, other.parts))
        return alike and self.facts == other.facts


def _is(mine: object, its: object) -> bool:
    return mine is its


def _facts(module: nn.Module) -> tuple[Any, ...]:
    hooks = (*module._forward_hooks, *module._forward_pre_hooks)
    tensors = [*module._parameters.values(), *module._buffers.values()]
    own = tuple((name, _seen(value)) for name, value in vars(module).items() if name not in _OWN)
    return type(module), module.training, hooks, tuple(map(_tensor, tensors)), own


# the attributes that torch keeps on every module, and those that are compared on their own
_OWN = set(vars(nn.Module())) | {"_parameters", "_buffers", "_modules"}


def _tensor(value: Tensor | None) -> Any:
    return None if value is None else (id(value), value.dtype, value.device, tuple(value.shape))


def _seen(value: Any, depth: int = 3) -> Any:
    """A comparable form of a value: numbers and texts themselves, containers by their content, all else by identity."""
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, float | complex):
        # 0 is not −0
        return type(value), repr(value)
    if value is None or isinstance(value, bool | int | str | bytes):
        return type(value), value
    if isinstance(value, tuple | list) and depth:
        return type(value), tuple(_seen(each, depth - 1) for each in value)
    if isinstance(value, dict) and depth:
        return tuple((_seen(key, depth - 1), _seen(each, depth - 1)) for key, each in value.items())
    return id(value)
