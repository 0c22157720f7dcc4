"""The processes that share a run: this one, or those that ``torchrun`` or ``accelerate launch`` started."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Team:
    """One process on its own. Every method is called by all processes of a run at the same place."""

    rank = 0
    count = 1

    @property
    def main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of their ranks, for the main process; nothing for the others."""
        return [value]

    def share(self, value: T) -> T:
        """The main process's value."""
        return value

    def lead(self, work: Callable[[], T]) -> T:
        """What the main process gets by working; its error is everybody's."""
        return work()


class LaunchedTeam(Team):
    """The processes of a launcher, through accelerate."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    def gather(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.count
        torch.distributed.gather_object(value, found if self.main else None, dst=0)
        return found if self.main else []

    def share(self, value: T) -> T:
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]  # type: ignore[no-any-return]

    def lead(self, work: Callable[[], T]) -> T:
        result, error = self.share(attempt(work) if self.main else (None, None))
        if error is not None:
            raise error
        return result  # type: ignore[return-value]


def attempt(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What comes of work: a result, or the error that is to be told to all processes before it is raised."""
    try:
        return work(), None
    except Exception as error:  # raised again, once the other processes know of it
        return None, error


def launched() -> bool:
    """Whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def team(device: torch.device | str | None, home: torch.device) -> tuple[Team, torch.device | str | None]:
    """The processes that share this run, and the device of this one: the one asked for, else the launcher's."""
    if not launched():
        return Team(), device
    # only here: accelerate takes a second to import
    from inradius.processes import Processes

    processes = Processes(device, home)
    return LaunchedTeam(processes.rank, processes.count), processes.device
