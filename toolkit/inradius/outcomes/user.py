"""An outcome that is a function of the user's: ``inradius.outcome(function)``."""

import hashlib
import types
import uuid
from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError, InradiusError, UnsupportedError
from inradius.outcomes.outcome import Outcome
from inradius.outcomes.property import Property

Margin = Callable[[Tensor, Tensor], Tensor]
# what a digest may be taken of by its ``repr``
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


@attrs.frozen(kw_only=True)
class FunctionOutcome(Outcome):
    """An outcome by a function of outputs and labels; ``inradius.outcome`` makes it, and no spec does."""

    name = "outcome"

    function: Margin
    proved: Callable[[Tensor, Tensor], Property] | None = None
    title: str
    digest: str = attrs.field(eq=False)

    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        found = self._asked(outputs, y)
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

    def _asked(self, outputs: Tensor, y: Tensor) -> object:
        try:
            return self.function(outputs, y)
        except (InradiusError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # a user's function may raise anything; the sentence names what it was given
            told = str(error).splitlines()[0] if str(error) else "no reason given"
            raise InputError(
                f"{self} failed on outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(y.shape)}, of type {y.dtype} "
                f"({type(error).__name__}: {told}); allowed is a function of both"
            ) from error

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        if self.proved is None:
            raise UnsupportedError(
                f"{self} says nothing that a certifier can prove; allowed are attacks alone, as with certifiers=[], or "
                "inradius.outcome(function, prop=...) with a function of labels and outputs that gives an inradius.Property"
            )
        return self.proved(y, outputs)

    def spec(self, *, full: bool = False) -> str:
        """The name of the function; ``full`` adds a digest of its code, which names runs."""
        return f"outcome({self.title}, {self.digest})" if full else f"outcome({self.title})"


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
    digest = hashlib.sha256(f"{_digest(function)} {_digest(prop)}".encode()).hexdigest()[:16]
    return FunctionOutcome(function=function, proved=prop, title=title, digest=digest)


def _digest(function: object, seen: tuple[object, ...] = ()) -> str:
    """A text that changes with the code of a function; a new one each time for what has no plain code and constants."""
    if function is None:
        return "none"
    if not isinstance(function, types.FunctionType):
        return uuid.uuid4().hex
    seen = (*seen, function)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    known = function.__globals__
    used = [known[name] for name in _names(function.__code__) if name in known]
    kept = (*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *used)
    return f"{_code(function.__code__)} {[_value(each, seen) for each in kept]}"


def _names(code: types.CodeType) -> list[str]:
    inner = [name for each in code.co_consts if isinstance(each, types.CodeType) for name in _names(each)]
    return [*code.co_names, *inner]


def _code(code: types.CodeType) -> str:
    inner = [_code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inner}"


def _value(given: object, seen: tuple[object, ...]) -> str:
    if isinstance(given, _PLAIN):
        return repr(given)
    if isinstance(given, types.ModuleType | type | types.BuiltinFunctionType):
        return given.__name__
    return "again" if any(given is each for each in seen) else _digest(given, seen)
