"""An outcome that is a function of the user's: ``inradius.outcome(function)``."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError, InradiusError, UnsupportedError
from inradius.outcomes.function_digest import digest_of
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.property import Property

Margin = Callable[[Tensor, Tensor], Tensor]


@attrs.frozen(kw_only=True)
class FunctionOutcome(Outcome):
    """An outcome by a function of outputs and labels; ``inradius.outcome`` makes it, and no spec does."""

    name = "outcome"

    function: Margin
    proved: Callable[[Tensor, Tensor], Property] | None = None
    title: str

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        found = self._asked(self.function, outputs, y, outputs, y)
        if not isinstance(found, Tensor) or found.shape != (len(y),) or found.is_complex():
            given = (
                f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            )
            raise InputError(
                f"{self} gave {given} for {len(y)} examples; allowed is a number for each, > 0 where right, or True where right"
            )
        if not found.is_floating_point():
            found = torch.where(found, 1.0, -1.0) if found.dtype == torch.bool else found
            return found.to(outputs.dtype)
        if not bool(found.isfinite().all()):
            raise InputError(f"{self} gave NaN or infinite numbers; they must be finite")
        return found

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        if self.proved is None:
            raise UnsupportedError(
                f"{self} says nothing that a certifier can prove; allowed are attacks alone, as with certifiers=[], or "
                "inradius.outcome(function, prop=...) with a function of labels and outputs that gives an inradius.Property"
            )
        found = self._asked(self.proved, y, outputs, outputs, y)
        if not isinstance(found, Property):
            raise InputError(f"the property of {self} is a {type(found).__name__}; allowed is an inradius.Property")
        return found

    def _asked(
        self, function: Callable[[Tensor, Tensor], object], one: Tensor, other: Tensor, z: Tensor, y: Tensor
    ) -> object:
        """The answer of a user's function. It is given copies, as it may write on them. Raises ``InputError`` where it fails."""
        try:
            return function(one.clone(), other.clone())
        except (InradiusError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # a user's function may raise anything; the sentence names what it was given
            told = str(error).splitlines()[0] if str(error) else "no reason given"
            raise InputError(
                f"{self} failed on outputs of shape {tuple(z.shape)} and labels of shape {tuple(y.shape)}, of type {y.dtype} "
                f"({type(error).__name__}: {told}); allowed is a function of both"
            ) from error

    def spec(self, *, full: bool = False) -> str:
        """The name of the function; ``full`` adds a digest of its code as it is now, which names runs."""
        if not full:
            return f"outcome({self.title})"
        return f"outcome({self.title}, {digest_of(self.function, self.proved)})"


def outcome(
    function: Margin,
    *,
    prop: Callable[[Tensor, Tensor], Property] | None = None,
    name: str | None = None,
) -> Outcome:
    """The outcome that a function of outputs (n, ...) and labels (n, ...) gives: a number for each example, > 0 where right.

    A gradient attack follows the gradient of that number. A function may give True where right instead: attacks without
    gradients take that alone. ``as_property`` is a function of labels and outputs that gives the ``inradius.Property`` for
    certifiers, whose weakest clause must never be above the number. ``name`` stands in reports, by default that of the
    function. Raises ``InputError`` where no function is given.
    """
    for given, what in ((function, "the outcome"), (prop, "the property")):
        if (given is not None or what == "the outcome") and (not callable(given) or isinstance(given, type)):
            raise InputError(f"{what} is a {type(given).__name__}; allowed is a function of two tensors")
    title = name or str(getattr(function, "__name__", type(function).__name__))
    return FunctionOutcome(function=function, proved=prop, title=title)
