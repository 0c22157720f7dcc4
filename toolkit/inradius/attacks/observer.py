"""Observers: they see the iterates of an attack."""

from collections.abc import Callable
from itertools import count

from torch import Tensor

from inradius.arguments import told
from inradius.errors import InputError


class Observer:
    """Sees the iterates of an attack; by default it does nothing with them.

    A call ``observe`` takes a plain function of (step, delta) as well. A subclass overrides what it wants to know.
    """

    def __call__(self, step: int, delta: Tensor) -> None:
        """Sees iterate number ``step`` of all examples, (B, *S). It clones what it keeps."""

    def judged(self, rows: Tensor, misclassified: Tensor) -> None:
        """Sees for the examples ``rows`` (n,) if the iterate last shown is misclassified, (n,).

        ``pgd``, the other attacks with the loop ``Ascent``, and ``friendly_pgd`` call it; other attacks do not.
        """


class _Function(Observer):
    """An observer that calls a function."""

    def __init__(self, see: Callable[[int, Tensor], None]) -> None:
        self._see = see

    def __call__(self, step: int, delta: Tensor) -> None:
        self._see(step, delta)


def as_observer(observe: Callable[[int, Tensor], None] | None) -> Observer | None:
    """The observer, or one that calls the function; None for None. Raises ``InputError`` for what cannot be called."""
    if observe is not None and (not callable(observe) or isinstance(observe, type)):
        raise InputError(f"observe is {told(observe)}; allowed is a function of (step, delta), or an inradius.Observer")
    return observe if observe is None or isinstance(observe, Observer) else _Function(observe)


class BatchObserver:
    """Shows an observer the iterates of parts of a batch as iterates of the whole batch, numbered from 0."""

    def __init__(self, observe: Observer | None) -> None:
        self._observe, self._numbers = observe, count()

    @property
    def active(self) -> bool:
        """True where there is an observer."""
        return self._observe is not None

    def show(self, whole: Tensor, rows: Tensor, delta: Tensor) -> None:
        """Shows ``whole`` (B, *S) with ``delta`` (n, *S) in the places ``rows`` (n,), which ascend."""
        if self._observe is None:
            return
        shown = (delta if len(rows) == len(whole) else whole).clone()
        if len(rows) < len(whole):
            shown[rows] = delta
        self._observe(next(self._numbers), shown)

    def of(self, whole: Tensor, rows: Tensor) -> Observer | None:
        """An observer for an attack on the examples ``rows``; the others are shown as in ``whole`` (B, *S)."""
        return None if self._observe is None else _Function(lambda _, delta: self.show(whole, rows, delta))
