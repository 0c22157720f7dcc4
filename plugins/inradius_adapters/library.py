"""Other libraries: if they are there, their modules, their classes, their words in our sentences."""

import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from inradius import SpecError, UnsupportedError


def is_installed(package: str) -> bool:
    """True where a package can be imported, without importing it."""
    return package in sys.modules or find_spec(package) is not None


def load(module: str) -> Any:
    """The module, imported now, without the warnings that are its authors' business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return import_module(module)


def named(module: Any, name: str) -> type[Any]:
    """The class of that name in a module. Raises ``SpecError`` with the nearest names where there is none such."""
    found: type[Any] = _among(module, name, inspect.isclass)
    return found


def named_function(module: Any, name: str, parameters: Sequence[str]) -> Callable[..., Any]:
    """The function of that name that begins with these parameters. Raises ``SpecError`` as ``named`` does."""

    def fits(value: object) -> bool:
        return inspect.isfunction(value) and list(inspect.signature(value).parameters)[: len(parameters)] == list(
            parameters
        )

    found: Callable[..., Any] = _among(module, name, fits)
    return found


def _among(module: Any, name: str, fits: Callable[[object], bool]) -> Any:
    """The object with this name in a module that fits. Raises ``SpecError`` with the nearest names where nothing does."""
    found = getattr(module, name, None)
    if fits(found):
        return found
    names = [known for known, value in vars(module).items() if fits(value)]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise SpecError(f"{module.__name__.partition('.')[0]} has no attack {name!r}{hint}")


def called(
    function: Callable[..., Any],
    given: dict[str, object],
    own: dict[str, object],
    options: dict[str, Any],
    hidden: Collection[str],
) -> Any:
    """The answer of a function to ``given``, ``options`` and those of ``own`` that it knows.

    Raises ``SpecError`` where it has no parameter of the name of an option, with those that it has, without the ``hidden`` ones.
    """
    known = list(inspect.signature(function).parameters)
    strange = [name for name in options if name not in known]
    if strange:
        allowed = ", ".join(name for name in known if name not in given and name not in hidden)
        raise SpecError(f"{function.__name__} has no parameter {strange[0]}; it knows {allowed or 'none'}")
    return function(**given, **{name: value for name, value in own.items() if name in known} | options)


def knows(kind: Any, parameter: str) -> bool:
    """True where a constructor or a function has the parameter."""
    return parameter in inspect.signature(kind).parameters


def built(
    kind: type[Any], given: tuple[object, ...], own: dict[str, object], options: dict[str, Any], hidden: Collection[str]
) -> Any:
    """An object made of ``given``, ``options`` and those of ``own`` that the constructor knows.

    Raises ``SpecError`` where it refuses them, with its parameters, without the ``hidden`` ones; ``UnsupportedError`` where a
    package is missing.
    """
    known = list(inspect.signature(kind).parameters)
    fitting = {name: value for name, value in own.items() if name in known}
    try:
        return kind(*given, **fitting | options)
    except ImportError as error:
        raise UnsupportedError(f"{kind.__name__} needs one more package: {error}") from error
    except Exception as error:  # a stranger's constructor may raise anything; the sentence says what it said
        allowed = ", ".join(name for name in known[len(given) :] if name not in hidden)
        raise SpecError(
            f"{kind.__name__} is refused its parameters: {type(error).__name__}: {error}; it knows {allowed or 'none'}"
        ) from error
