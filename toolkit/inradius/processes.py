"""The processes of a run: this one, or as many as ``torchrun`` or ``accelerate launch`` started."""

import atexit
import os
from collections.abc import Iterable
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Processes:
    """What the processes of a run need of each other. Every example is one process's, so sums over all are exact."""

    def __init__(self, device: torch.device | str | None, home: torch.device) -> None:
        """On ``device``; by default on the one that the launcher gave, and without a launcher on ``home``."""
        from accelerate import PartialState

        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
        place = device if device is not None or launched else home
        # without an accelerator a launcher gives the CPU, and accelerate joins processes there only where it is told to
        cpu = torch.device(place).type == "cpu" if place is not None else not torch.accelerator.is_available()
        self._state = PartialState(cpu=True) if cpu else PartialState()
        self.device = torch.device(self._state.device if place is None else place)
        if launched:
            _leave_at_exit()

    @property
    def count(self) -> int:
        return int(self._state.num_processes)

    @property
    def rank(self) -> int:
        return int(self._state.process_index)

    @property
    def main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of the rows of a batch."""
        return rows[self.rank :: self.count]

    def sum(self, value: Tensor) -> Tensor:
        """The sum of every process's value, of the same shape."""
        if self.count == 1:
            return value
        from accelerate.utils import reduce

        total: Tensor = reduce(value, reduction="sum")
        return total

    def gather(self, values: Tensor) -> Tensor:
        """Every process's values, one after the other; their numbers may differ by one."""
        if self.count == 1:
            return values
        from accelerate.utils import gather_object

        return torch.cat([torch.tensor(part) for part in gather_object([values.tolist()])]).to(values)

    def gather_objects(self, value: T) -> list[T]:
        """Every process's value, which pickle must know."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        found: list[T] = gather_object([value])
        return found

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
        self._state.wait_for_everyone()


@cache
def _leave_at_exit() -> None:
    """Lets go of the other processes when this one ends: threads that still wait for them would abort it."""
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
