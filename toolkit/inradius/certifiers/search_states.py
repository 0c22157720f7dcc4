"""States of searches for proofs in a file, so that a later call goes on where an earlier one ended."""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inradius.errors import InputError, StorageError
from inradius.stored.files import damaged, write_atomic, writing
from inradius.stored.reading import check
from inradius.stored.tensor_file import tensor_file

State = Mapping[str, Tensor]

# seconds between two writes, and the least ratio of that to the time that a write takes
_EVERY, _RATIO = 10.0, 20.0
_QUESTION = "question"


@attrs.define(eq=False)
class SearchStates:
    """The states of the searches for one question, by their names, in the file ``path``.

    ``question`` is a hash of everything that the states depend on: the network, the set, the property and the claim. Parts of
    the set that a state does not hold count as proved, so whoever can write the file can make a proof.
    """

    path: Path
    question: str
    states: dict[str, State] = attrs.field(factory=dict)
    _next: float = attrs.field(factory=lambda: time.monotonic() + _EVERY)

    @classmethod
    def open(cls, path: Path, question: str) -> "SearchStates":
        """The states in a file, none where there is no file.

        Raises ``InputError`` for a file that is damaged, that holds no states, or those of another question.
        """
        found = cls(path, question)
        if path.exists():
            found.states.update(_read(path, question))
        return found

    def find(self, name: str) -> State | None:
        """The state of a search, None where there is none."""
        return self.states.get(name)

    def keep(self, name: str, state: Callable[[], State], *, now: bool = False) -> None:
        """Writes the state of a search, ten seconds or more after the last time, or ``now``.

        Where the file cannot be written there is a warning, and the search goes on without it.
        """
        start = time.monotonic()
        if start < self._next and (not now or self._next == math.inf):
            return
        self.note(name, state())
        named = {f"{search}/{part}": value for search, one in self.states.items() for part, value in one.items()}
        try:
            with writing(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, tensor_file(named, {_QUESTION: self.question}))
        except StorageError as error:
            warnings.warn(f"the search cannot be resumed later: {error}", stacklevel=2)
            self._next = math.inf
            return
        end = time.monotonic()
        self._next = end + max(_EVERY, _RATIO * (end - start))

    def note(self, name: str, state: State) -> None:
        """Keeps the state of a search that is over; it is written with that of the next one."""
        self.states[name] = state

    def remove(self) -> None:
        """Deletes the file, as behind an answer."""
        self.path.unlink(missing_ok=True)


def _read(path: Path, question: str) -> dict[str, State]:
    check(path, ours=True)
    states: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get(_QUESTION)
            for name in file.keys():  # noqa: SIM118
                search, _, part = name.partition("/")
                states.setdefault(search, {})[part] = file.get_tensor(name)
    except SafetensorError as error:
        raise damaged(path, f"it holds no states of a search ({error})") from error
    if told != question:
        raise InputError(
            f"{path} holds the search for another question; allowed are a new file, and one that was written for the same "
            "network, set, property, claim and version"
        )
    return dict(states)


def question_hash(*parts: bytes | str) -> str:
    """A hash of several texts in this order."""
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "little") + content)
    return total.hexdigest()


def tensor_bytes(value: Tensor) -> bytes:
    """The type, the shape and the numbers of a tensor."""
    numbers = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    # numpy does not know every type
    raw = numbers.reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{numbers.dtype} {tuple(numbers.shape)} ".encode() + raw


_states: ContextVar[SearchStates | None] = ContextVar("inradius_search_states", default=None)


@contextmanager
def keeping(states: SearchStates | None) -> Iterator[None]:
    """A context in which searches go on from ``states``, and keep theirs there."""
    token = _states.set(states)
    try:
        yield
    finally:
        _states.reset(token)


def kept_states() -> SearchStates | None:
    """The states of the context, None where none are kept."""
    return _states.get()


_place: ContextVar[tuple[str, ...]] = ContextVar("inradius_search_place", default=())


@contextmanager
def within(*names: object) -> Iterator[None]:
    """A context for searches of a part of the question, as of one set among several; such parts must have names of their own."""
    token = _place.set((*_place.get(), *map(str, names)))
    try:
        yield
    finally:
        _place.reset(token)


def search_place() -> str:
    """The names of the parts of the question that the search is within."""
    return "/".join(_place.get())
