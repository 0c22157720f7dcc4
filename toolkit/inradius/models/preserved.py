"""A model's state, restored after its forward has run."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

# types that hold no other object, so they are not searched
_PLAIN = {str, bytes, bool, int, float, complex, type(None)}
_CONTAINERS = {dict, OrderedDict, list, set}
# integer types by their size in bytes, in which numbers are compared
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@contextmanager
def preserved(model: object) -> Iterator["ModelState"]:
    """A block in which the model may change its state in any way; all of it is restored, and within it by ``put_back``.

    The state is everything reached from the model through attributes, modules, lists, dictionaries, tuples and sets:
    the content of each of them, the class of each module, and every tensor's bits, memory, ``requires_grad`` and ``grad``. The
    bits of sparse and quantised tensors, and of tensors without numbers, are not restored.
    """
    state = _state(model)
    try:
        yield state
    finally:
        state.put_back()


@attrs.define(eq=False)
class ModelState:
    """A model's state at one moment: every tensor, module and filled container that is reached, once; empty containers apart.

    Tensors are grouped by inference mode, because tensors of that mode can only be written inside it, and others only
    outside. changed: true once ``put_back`` has found anything changed.
    """

    _tensors: dict[bool, list["_Tensor"]]
    _filled: list["_Container"]
    _empty: list[Any]
    _classes: list[tuple[nn.Module, type]]
    changed: bool = False

    def put_back(self) -> None:
        """Restores the state."""
        for each in self._empty:
            if each:
                self.changed = True
                each.clear()
        for module, kind in self._classes:
            if type(module) is not kind:
                self.changed = True
                module.__class__ = kind
        for container in self._filled:
            self.changed |= container.put_back()
        for inference, alike in self._tensors.items():
            with torch.inference_mode(inference):
                for tensor in alike:
                    self.changed |= tensor.put_back()


def _state(model: object) -> ModelState:
    """The state of a model."""
    # objects that were seen are kept, so that no other object can get the same id
    seen: dict[int, Any] = {}
    open_ends: list[Any] = [model] if isinstance(model, nn.Module) else []
    # most containers are empty dictionaries of hooks
    empty: list[Any] = []
    while open_ends:
        given = open_ends.pop()
        if id(given) in seen:
            continue
        seen[id(given)] = given
        for each in _inside(given):
            if type(each) in _CONTAINERS and not each:
                empty.append(each)
            elif type(each) not in _PLAIN:
                open_ends.append(each)
    # torch allows no operations on tensors whose shape is unknown
    found = [each for each in seen.values() if isinstance(each, Tensor) and not is_lazy(each)]
    modes = {each.is_inference() for each in found}
    tensors = {inference: _tensors(found, inference) for inference in modes}
    filled = [_Container(each, _held(each)) for each in seen.values() if isinstance(each, dict | list | set | deque)]
    classes = [(each, type(each)) for each in seen.values() if isinstance(each, nn.Module)]
    return ModelState(tensors, filled, empty, classes)


def _tensors(found: list[Tensor], inference: bool) -> list["_Tensor"]:
    with torch.inference_mode(inference):
        return [_Tensor.of(each) for each in found if each.is_inference() == inference]


def _inside(given: Any) -> Iterable[Any]:
    """The objects held by an object, which are searched next."""
    if isinstance(given, dict):
        return given.values()
    if isinstance(given, nn.Module):
        # those of a scripted module are not dictionaries
        strange = [each for each in (given._parameters, given._buffers, given._modules) if not isinstance(each, dict)]
        return [vars(given), *(value for each in strange for value in each.values())]
    if isinstance(given, Tensor):
        return (_gradient(given),)
    return given if isinstance(given, list | tuple | set | frozenset | deque) else ()


@attrs.frozen(eq=False)
class _Container:
    """A container and its content."""

    container: Any
    held: list[Any]

    def put_back(self) -> bool:
        """True if the content had changed, which is restored."""
        held = _held(self.container)
        if len(held) == len(self.held) and all(map(is_, held, self.held)):
            return False
        self.container.clear()
        if isinstance(self.container, dict):
            half = len(self.held) // 2
            self.container.update(zip(self.held[:half], self.held[half:], strict=True))
        elif isinstance(self.container, set):
            self.container.update(self.held)
        else:
            self.container.extend(self.held)
        return True


def _held(container: Any) -> list[Any]:
    """The keys and the values of a dictionary, or the elements of another container."""
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


@attrs.frozen(eq=False)
class _Tensor:
    """A tensor and its state."""

    tensor: Tensor
    memory: "_Memory | None"
    leaf: bool
    wanted: bool
    gradient: Tensor | None

    @classmethod
    def of(cls, tensor: Tensor) -> "_Tensor":
        return cls(tensor, _memory(tensor), tensor.is_leaf, tensor.requires_grad, _gradient(tensor))

    def put_back(self) -> bool:
        """True if anything had changed, which is restored."""
        changed = self.memory is not None and self.memory.put_back(self.tensor)
        if self.leaf and not self.tensor.is_leaf and not self.tensor._is_view():
            # computed numbers were written to it while gradients were recorded
            self.tensor.detach_()
            changed = True
        if self.tensor.is_leaf and self.tensor.requires_grad != self.wanted:
            self.tensor.requires_grad_(self.wanted)
            changed = True
        if _gradient(self.tensor) is not self.gradient:
            self.tensor.grad = self.gradient
            changed = True
        return changed


@attrs.frozen(eq=False)
class _Memory:
    """The placement of a tensor's numbers in memory, and a copy of them; ``numbers`` is each of them once, in that memory.

    Both are bits, but for complex numbers, whose bits may be copies.
    """

    data: Tensor
    placement: tuple[Any, ...]
    numbers: Tensor
    copy: Tensor

    def put_back(self, tensor: Tensor) -> bool:
        moved = _placement(tensor) != self.placement
        if moved:
            tensor.data = self.data
        pair = self.numbers, self.copy
        written = not torch.equal(*map(_bits, pair) if self.numbers.is_complex() else pair)
        if written:
            self.numbers.copy_(self.copy)
        return moved or written


def _memory(tensor: Tensor) -> _Memory | None:
    """The state of a tensor's numbers; None for tensors that are sparse, quantised, without numbers or not torch's own."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return None
    try:
        # torch does not count changes made through ``data``, so gradients of earlier runs stay valid
        data = tensor.data
        numbers = _once(data)
        numbers = numbers if data.is_complex() else _bits(numbers)
        return _Memory(data, _placement(tensor), numbers, numbers.clone())
    except (RuntimeError, TypeError):
        return None


def _gradient(tensor: Tensor) -> Tensor | None:
    # torch warns about the gradient of a computed tensor
    return tensor.grad if tensor.is_leaf or tensor.retains_grad else None


def _placement(tensor: Tensor) -> tuple[Any, ...]:
    """The placement of a tensor's numbers in memory."""
    storage = int(tensor.untyped_storage()._cdata)
    return storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _once(tensor: Tensor) -> Tensor:
    """The numbers of a tensor that may be expanded, each once, in the same memory."""
    strides = tensor.stride()
    if 0 not in strides:
        return tensor
    for axis, (size, step) in enumerate(zip(tensor.shape, strides, strict=True)):
        tensor = tensor.narrow(axis, 0, 1) if step == 0 and size > 1 else tensor
    return tensor


def _bits(tensor: Tensor) -> Tensor:
    """The bits of a tensor as integers, which equal themselves where the numbers do not; in its memory unless it is complex."""
    part = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    bytes_each = part.element_size()
    if not part.is_contiguous():
        return part.view(_BITS[bytes_each])
    # eight bytes at once where the size and the place in memory allow it
    wide = not part.numel() * bytes_each % 8 and not part.storage_offset() * bytes_each % 8
    return part.view(-1).view(torch.int64 if wide else _BITS[bytes_each])
