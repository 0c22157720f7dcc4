"""The spec language: calls, numbers, strings and tuples, read with ``ast`` and never evaluated."""

import ast
import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs

from inradius.errors import SpecError

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@attrs.frozen
class Call:
    """A name with arguments: ``linf(eps=8/255)``."""

    name: str
    args: tuple[object, ...] = ()
    kwargs: tuple[tuple[str, object], ...] = ()


def parse(text: str) -> Call:
    """The call that ``text`` spells; a bare name is a call without arguments, ``name:rest`` a call with one string."""
    stripped = text.strip()
    head, colon, rest = stripped.partition(":")
    if colon and head.isidentifier() and "(" not in head:
        return Call(head, (rest,))
    try:
        value = _value(ast.parse(stripped, mode="eval").body, text)
    except SpecError:
        raise
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SpecError(f"{text!r} is not a spec; write name(parameter=value, ...), as in linf(eps=8/255)") from error
    if not isinstance(value, Call):
        raise SpecError(
            f"{text!r} is a value, not a component; write name(parameter=value, ...), as in linf(eps=8/255)"
        )
    return value


def _value(node: ast.expr, text: str) -> object:
    match node:
        case ast.Constant(value=value) if isinstance(value, bool | int | float | str | None):
            return value
        case ast.Name(id=name):
            return Call(name)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if all(k.arg for k in keywords):
            pairs = tuple((str(k.arg), _value(k.value, text)) for k in keywords)
            for key, count in Counter(key for key, _ in pairs).items():
                if count > 1:
                    raise SpecError(f"{key} is given twice in {text!r}; give it once")
            return Call(name, tuple(_value(a, text) for a in args), pairs)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_value(item, text) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _arithmetic(op, _number(left, text), _number(right, text), text)
    raise SpecError(
        f"{ast.unparse(node)!r} in {text!r} is not part of the spec language; "
        "allowed are name(parameter=value), numbers with + - * /, strings, tuples, True, False and None"
    )


def _number(node: ast.expr, text: str) -> int | float:
    value = _value(node, text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{ast.unparse(node)!r} in {text!r} is not a number, and arithmetic needs numbers")
    return value


def _arithmetic(op: ast.operator, left: float, right: float, text: str) -> object:
    try:
        return _OPERATORS[type(op)](left, right)
    except (ZeroDivisionError, OverflowError) as error:
        raise SpecError(f"{text!r} divides by zero or overflows; give a finite number") from error
