"""The answers of solvers: the rows they are needed for where only a verdict is wanted, and the handling of failures."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from inradius import Bounds
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.solvers.linear_program import OutOfTimeError


class SolverAnswer(Protocol):
    """A solver's answer for a row."""

    @property
    def failure(self) -> str:
        """The failure of the solver in words; empty for an answer."""


Given = TypeVar("Given", bound=SolverAnswer)

_places: ContextVar[Tensor | None] = ContextVar("inradius_bounds_places", default=None)


@contextmanager
def verdicts_of(places: Tensor) -> Iterator[None]:
    """A context in which only verdicts are wanted, of the examples at ``places`` (B,) of the batch."""
    outer = _places.get()
    token = _places.set(places if outer is None else outer[places])
    try:
        yield
    finally:
        _places.reset(token)


def verdicts_alone() -> bool:
    """True if it is enough to know which examples are proved."""
    proof = current_certificate()
    return _places.get() is not None or (proof is not None and proof.decide)


def slack_of(bounds: Bounds) -> Tensor:
    """The most by which bounds may rise if they need not hold for each floating-point execution of the model, (B, K)."""
    cost = bounds.float_cost() if callable(bounds.float_cost) else bounds.float_cost
    return torch.zeros_like(bounds.value.detach()) if cost is None else cost.detach()


def answered(ask: Callable[[], Given], method: object, example: int, row: int) -> Given | None:
    """A solver's answer for one row of the example at this place; None, with a warning, where the solver fails.

    Where the limit of time ended it, there is no answer and no warning.
    """
    places = _places.get()
    try:
        given = ask()
        reason = given.failure
    except OutOfTimeError:
        return None
    # any error of a solver concerns this row alone
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
