"""``torch.compile`` for the length of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from inradius.errors import UnsupportedError
from inradius.models.modes import evaluating


@contextmanager
def compiled(model: nn.Module, wanted: bool, inputs: Tensor) -> Iterator[None]:
    """Within it, the model's calls are compiled where that is wanted; its weights and their names stay as they are.

    Raises ``UnsupportedError`` where torch cannot compile here, which is tried on the inputs.
    """
    if not wanted:
        yield
        return
    model.compile()
    try:
        _try_out(model, inputs)
        yield
    finally:
        # there is no public way back
        model._compiled_call_impl = None


def _try_out(model: nn.Module, inputs: Tensor) -> None:
    try:
        with evaluating(model), torch.no_grad():
            model(inputs)
    except RuntimeError as error:
        raise UnsupportedError(
            f"compile=True: torch cannot compile {type(model).__name__} here ({str(error).strip().splitlines()[0]}); "
            "install a C++ compiler, or leave compile out"
        ) from error
