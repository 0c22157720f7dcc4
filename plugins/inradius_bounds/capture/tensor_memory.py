"""The values of a recording's tensors, also after operators have written on memory that several tensors share."""

from typing import Any

from torch import Tensor

from inradius_bounds.capture.graph import Value


class TensorMemory:
    """The values of plain tensors, and the count of writes on the memory of each.

    Torch may hand a view of a tensor on as a new object. Such a tensor is recognised by its place in memory.
    """

    def __init__(self) -> None:
        # seen tensors live as long as the recording, so that no other tensor takes their place
        self._alive: list[Tensor] = []
        self._known: dict[Any, tuple[Value, int, tuple[Any, ...]]] = {}
        self._writes: dict[int, int] = {}
        # memory that existed before the recording
        self._given: set[int] = set()

    def note(self, tensor: Tensor, value: Value, *, given: bool = False) -> None:
        """Records that a tensor is a value, with its memory as it is now. ``given`` is true if it existed before the recording."""
        self._alive.append(tensor)
        lie = _lie(tensor)
        self._known[id(tensor)] = self._known[lie] = value, self._writes.get(lie[0], 0), lie
        if given:
            self._given.add(lie[0])

    def value(self, tensor: Tensor) -> Value | None:
        """The value of a tensor; None where it is unknown, or where its memory was written on since."""
        found = self._known.get(id(tensor)) or self._known.get(_lie(tensor))
        return found[0] if found is not None and self._is_current(tensor, found) else None

    def current(self, tensor: Tensor) -> bool:
        """True if a tensor is known, and its memory was not written on since it became its value."""
        found = self._known.get(id(tensor))
        return found is not None and self._is_current(tensor, found)

    def seen(self, tensor: Tensor) -> bool:
        """True if a tensor was known at some time."""
        return id(tensor) in self._known or _lie(tensor) in self._known

    def plain(self, tensor: Tensor) -> bool:
        """True if all values that a tensor was known as are plain."""
        found = [self._known.get(id(tensor)), self._known.get(_lie(tensor))]
        return all(entry[0].plain for entry in found if entry is not None)

    def change(self, tensor: Tensor) -> None:
        """Records that an operator has written on a tensor's memory."""
        self._writes[storage_of(tensor)] = self._writes.get(storage_of(tensor), 0) + 1

    def given(self, tensor: Tensor) -> bool:
        """True if a tensor lies in memory that existed before the recording."""
        return storage_of(tensor) in self._given

    def _is_current(self, tensor: Tensor, known: tuple[Value, int, tuple[Any, ...]]) -> bool:
        _, writes, lie = known
        now = _lie(tensor)
        return self._writes.get(now[0], 0) == writes and now == lie


def storage_of(tensor: Tensor) -> int:
    """The number of the memory that a tensor lies in."""
    return int(tensor.untyped_storage()._cdata)


def _lie(tensor: Tensor) -> tuple[Any, ...]:
    return storage_of(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
