"""The commands of a file as nested tuples of words."""

import re
from collections.abc import Iterator

from inradius.errors import InputError

Expression = str | tuple["Expression", ...]

# the deepest nesting that is read; properties of competitions have six levels
DEPTH = 100

# comments and spaces, brackets, words; strings and quoted words may hold any of these
_TOKEN = re.compile(
    r"""[ \t\r\n]+ | ;[^\r\n]* | (?P<bracket>[()]) | (?P<word>"[^"]*" | \|[^|]*\| | [^ \t\r\n();"|]+) | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)


def commands(text: str) -> Iterator[tuple[int, Expression]]:
    """The commands of a text, each with its place in the text.

    Raises ``InputError`` for brackets that do not match, for words outside of commands, and for more than 100 levels.
    """
    open_: list[list[Expression]] = []
    start = 0
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token[0]
        if kind is None:
            continue
        if kind == "other":
            raise at(text, token.start(), f"{word!r} is no part of a property; allowed are brackets and words")
        if word == "(":
            start = start if open_ else token.start()
            open_.append([])
            if len(open_) > DEPTH:
                raise at(text, token.start(), f"brackets are nested deeper than {DEPTH}; allowed are as many levels")
        elif not open_:
            raise at(
                text, token.start(), f"{word[:40]!r} stands outside of a command; allowed are commands in brackets"
            )
        elif word == ")":
            closed = tuple(open_.pop())
            if open_:
                open_[-1].append(closed)
            else:
                yield start, closed
        else:
            open_[-1].append(word)
    if open_:
        raise at(
            text, start, "the command has no end; allowed are commands with a closing bracket for each opening one"
        )


def at(text: str, place: int, sentence: str) -> InputError:
    """The error that a sentence states about a place in the text, with its line."""
    return InputError(f"line {line_of(text, place)}: {sentence}")


def line_of(text: str, place: int) -> int:
    """The line of a place in the text, from 1."""
    return text.count("\n", 0, place) + 1


def shown(expression: Expression, most: int = 60) -> str:
    """The expression as it is written, in one line and cut to ``most`` characters."""
    text = " ".join(_written(expression, most).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _written(expression: Expression, most: int) -> str:
    if isinstance(expression, str):
        return expression
    parts: list[str] = []
    for part in expression:
        parts.append(_written(part, most))
        if sum(map(len, parts)) > most:
            break
    return f"({' '.join(parts)})"
