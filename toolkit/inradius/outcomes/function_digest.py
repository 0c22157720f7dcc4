"""Digests of functions: equal ones mean equal code on equal constants."""

import hashlib
import sys
import types
import uuid

# what a digest may be taken of by its ``repr``
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
# packages whose code changes with their version alone; what other modules and classes hold may change at any time
_KNOWN = frozenset({*sys.stdlib_module_names, "torch", "numpy", "inradius"})


def digest_of(*functions: object) -> str:
    """A text of 16 digits that changes with the code of the functions and with what that code reads.

    It is a new one each time where something is read that has no plain code and constants, such as a tensor or a class.
    """
    return hashlib.sha256(" ".join(map(_digest, functions)).encode()).hexdigest()[:16]


def _digest(function: object, seen: tuple[object, ...] = ()) -> str:
    if function is None:
        return "none"
    # attributes of a function may be read by its name
    if not isinstance(function, types.FunctionType) or vars(function):
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
    if isinstance(given, types.ModuleType):
        return given.__name__ if _is_known(given.__name__) else uuid.uuid4().hex
    if isinstance(given, type | types.BuiltinFunctionType) or _is_known(getattr(given, "__module__", None)):
        named = getattr(given, "__module__", None), getattr(given, "__qualname__", None)
        return str(named) if all(isinstance(name, str) for name in named) and _is_known(named[0]) else uuid.uuid4().hex
    return "again" if any(given is each for each in seen) else _digest(given, seen)


def _is_known(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _KNOWN
