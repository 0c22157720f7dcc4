"""The processes of a run: this one, or as many as ``torchrun`` or ``accelerate launch`` started."""

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")

_alone: ContextVar[bool] = ContextVar("alone", default=False)


class Processes:
    """The processes that share a run; every process calls a method at the same place.

    Every example is one process's, so sums over all are exact.
    """

    def __init__(self, device: torch.device | str | None, home: torch.device) -> None:
        """On ``device``; by default on the one that the launcher gave, and without a launcher on ``home``."""
        self._state: Any = None
        self.rank, self.count = 0, 1
        if launched():
            # only here: accelerate takes a second to import
            from accelerate import PartialState

            # without an accelerator a launcher gives the CPU, and accelerate joins processes there only where it is told to
            cpu = not torch.accelerator.is_available() if device is None else torch.device(device).type == "cpu"
            self._state = PartialState(cpu=True) if cpu else PartialState()
            self.rank, self.count = int(self._state.process_index), int(self._state.num_processes)
            home = self._state.device
            _leave_at_exit()
        self.device = torch.device(home if device is None else device)

    @property
    def main(self) -> bool:
        """True for the process that writes the files."""
        return self.rank == 0

    def shard(self, rows: Tensor) -> Tensor:
        """This process's part of the rows of a batch, (n,) -> (about n / count,)."""
        return rows[self.rank :: self.count]

    def broadcast(self, value: T) -> T:
        """The main process's value, which pickle must know."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]  # type: ignore[no-any-return]

    def on_main(self, work: Callable[[], T]) -> T:
        """The result of work that the main process does; its error is raised in every process."""
        if self.count == 1:
            return work()
        result, error = self.broadcast(attempt(work) if self.main else (None, None))
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def gather(self, values: Tensor) -> Tensor:
        """Every process's values, one after the other, (n,) -> (about n · count,)."""
        if self.count == 1:
            return values
        return torch.cat([torch.tensor(part) for part in self.gather_objects(values.tolist())]).to(values)

    def gather_objects(self, value: T) -> list[T]:
        """Every process's value, which pickle must know, in the order of their ranks."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        found: list[T] = gather_object([value])
        return found

    def gather_on_main(self, value: T) -> list[T]:
        """Every process's value, in the order of their ranks, for the main process; nothing for the others."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        torch.distributed.gather_object(value, found if self.main else None, dst=0)
        return found if self.main else []

    def sum(self, value: Tensor) -> Tensor:
        """The sum of every process's value, of the same shape."""
        if self.count == 1:
            return value
        from accelerate.utils import reduce

        total: Tensor = reduce(value, reduction="sum")
        return total

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leaves the sum of every process's gradients in each parameter."""
        if self.count > 1:
            self._sum_together([parameter.grad for parameter in parameters if parameter.grad is not None])

    def average_buffers(self, model: nn.Module) -> None:
        """Leaves the mean of every process's buffers in each, such as BatchNorm's running statistics."""
        if self.count > 1:
            buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
            self._sum_together(buffers)
            for buffer in buffers:
                buffer.div_(self.count)

    def _sum_together(self, values: list[Tensor]) -> None:
        """Leaves the sums over the processes in the values; those of a type go as one."""
        for dtype in dict.fromkeys(value.dtype for value in values):
            alike = [value for value in values if value.dtype == dtype]
            total = self.sum(torch.cat([value.detach().flatten() for value in alike]))
            parts = torch.split(total, [value.numel() for value in alike])
            for value, part in zip(alike, parts, strict=True):
                value.copy_(part.view_as(value))

    def agree(self, model: nn.Module) -> None:
        """Gives every process the weights of the first."""
        if self.count > 1:
            from accelerate.utils import broadcast

            with torch.no_grad():
                for value in model.state_dict().values():
                    value.copy_(broadcast(value.clone()))

    def wait(self) -> None:
        """Returns when every process has come here, so that files of the first are there for all."""
        if self.count > 1:
            self._state.wait_for_everyone()


def launched() -> bool:
    """True where a launcher started this process as one of several, unless it works ``alone`` at present."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and not _alone.get()


@contextmanager
def alone() -> Iterator[None]:
    """A block in which this process shares no run with others, also where a launcher started several."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def attempt(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """The result of work, or the error that is to be told to all processes before it is raised."""
    try:
        return work(), None
    except Exception as error:  # raised again, once the other processes know of it
        return None, error


@cache
def _leave_at_exit() -> None:
    """Lets go of the other processes when this one ends: threads that still wait for them would abort it."""
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
