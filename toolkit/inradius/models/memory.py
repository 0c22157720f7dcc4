"""Errors of memory, whatever raised them."""

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

# what torch says where the system refuses memory, on a CPU and within a library of CUDA
_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def of_memory(error: BaseException) -> bool:
    """True for an error that less work at once may avoid."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def release() -> None:
    """Gives back the memory of devices that torch keeps for later."""
    # it does nothing where no device was used
    torch.cuda.empty_cache()


def shrinking(work: Callable[[int], T], count: int) -> T:
    """The result of work on ``count`` things, or on half as many as often as there is not enough memory; at last the error."""
    while True:
        try:
            return work(count)
        except Exception as error:
            if not of_memory(error) or count <= 1:
                raise
        # here, because the error holds what was in memory
        release()
        count //= 2
