"""What solvers are asked for where a verdict alone is wanted, and what becomes of an answer that does not come."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from inradius import Bounds
from inradius.certifiers.certificate_in_progress import current_certificate


class SolverAnswer(Protocol):
    """What a solver says of a row."""

    @property
    def failure(self) -> str:
        """How it gave up, in words; empty where it did not."""


Given = TypeVar("Given", bound=SolverAnswer)

_places: ContextVar[Tensor | None] = ContextVar("inradius_bounds_places", default=None)


@contextmanager
def verdicts_of(places: Tensor) -> Iterator[None]:
    """While the block runs, verdicts alone are wanted of the examples at ``places`` (B,) of the batch."""
    outer = _places.get()
    token = _places.set(places if outer is None else outer[places])
    try:
        yield
    finally:
        _places.reset(token)


def verdicts_alone() -> bool:
    """Whether it is enough to know which examples are proved."""
    proof = current_certificate()
    return _places.get() is not None or (proof is not None and proof.decide)


def slack_of(bounds: Bounds) -> Tensor:
    """How much higher bounds might be that need not hold for each floating-point execution of the model, (B, K)."""
    cost = bounds.float_cost() if callable(bounds.float_cost) else bounds.float_cost
    return torch.zeros_like(bounds.value.detach()) if cost is None else cost.detach()


def answered(ask: Callable[[], Given], method: object, example: int, row: int) -> Given | None:
    """A solver's answer for one row of the example at this place; None, with a warning, where it has none."""
    places = _places.get()
    try:
        given = ask()
        reason = given.failure
    # whatever a solver raises concerns this row alone
    except Exception as error:
        given, reason = None, f"{type(error).__name__}: {error}"
    if given is None or reason:
        where = example if places is None else int(places[example])
        warnings.warn(
            f"{method} keeps the bound that it had before for row {row} of example {where} of the batch, as its solver gave "
            f"no answer there ({reason})",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return given
