"""The state of one search in a file, so that a later call goes on with it."""

from collections.abc import Callable, Iterable, Sequence

import attrs
import torch
from torch import Tensor

from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.certifiers.search_states import State, kept_states, question_hash, search_place, tensor_bytes
from inradius_bounds.search.domain_queue import DomainQueue
from inradius_bounds.search.domains import Domains
from inradius_bounds.search.outcome import Outcome

_OUTCOME, _OPEN, _WAITING = "outcome", "open", "waiting"


@attrs.frozen
class KeptSearch:
    """The place of one search among the kept states: its ``name`` is a hash of all numbers that the search starts from.

    A search that starts from other numbers, as on another machine, has another name, so it begins anew.
    """

    name: str

    @classmethod
    def of(cls, kind: str, numbers: Iterable[Tensor]) -> "KeptSearch":
        """The place of a search that starts from these numbers, at the level and in the type of the certificate in progress."""
        proof = current_certificate()
        if kept_states() is None or proof is None:
            return cls("")
        return cls(question_hash(kind, search_place(), str(proof.dtype), proof.claim, *map(tensor_bytes, numbers)))

    def found(self) -> State | None:
        """The state that an earlier call has left, None where there is none."""
        states = kept_states()
        return None if states is None or not self.name else states.find(self.name)

    def keep(self, state: Callable[[], State]) -> None:
        """Writes the state of the search from time to time."""
        states = kept_states()
        if states is not None and self.name:
            states.keep(self.name, state)

    def end(self, state: Callable[[], State], *, decided: bool) -> None:
        """Writes the state of a search that ends, or notes that of one that is ``decided``."""
        states = kept_states()
        if states is None or not self.name:
            return
        if decided:
            states.note(self.name, state())
        else:
            states.keep(self.name, state, now=True)


def outcome_state(found: Outcome) -> dict[str, Tensor]:
    """An outcome without a witness as tensors."""
    told = torch.tensor([found.visited, int(found.real)])
    return {f"{_OUTCOME}.lowest": found.lowest, f"{_OUTCOME}.stuck": found.stuck, f"{_OUTCOME}.told": told}


def take_outcome(state: State, found: Outcome) -> None:
    """Takes over what ``outcome_state`` has told."""
    found.lowest = state[f"{_OUTCOME}.lowest"].to(found.lowest)
    found.stuck = state[f"{_OUTCOME}.stuck"].to(found.stuck)
    visited, real = state[f"{_OUTCOME}.told"].tolist()
    found.visited, found.real = visited, bool(real)


def queue_states(queue: DomainQueue, waiting: DomainQueue) -> dict[str, Tensor]:
    """The domains of both queues as tensors."""
    found = {}
    for name, several in ((_OPEN, queue), (_WAITING, waiting)):
        if len(several):
            columns = attrs.asdict(several.all(), recurse=False)
            found.update({f"{name}.{column}": value for column, value in columns.items()})
    return found


def take_queues(state: State, queues: Sequence[DomainQueue], like: Tensor) -> None:
    """Fills two queues, of open and of waiting domains, with what ``queue_states`` has told."""
    for name, queue in zip((_OPEN, _WAITING), queues, strict=True):
        names = [field.name for field in attrs.fields(Domains)]
        if f"{name}.{names[0]}" in state:
            queue.push(Domains(*(state[f"{name}.{column}"].to(like.device) for column in names)))
