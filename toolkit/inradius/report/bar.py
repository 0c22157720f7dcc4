"""The bracket as a bar, drawn as inline SVG."""

from inradius.bracketing.result import BracketResult
from inradius.report.words import COLOURS

_WIDTH, _LEFT, _TOP, _HEIGHT = 760.0, 20.0, 46.0, 34.0
# the two rows of numbers above the bar
_HIGH, _LOW = 14.0, 34.0


def bracket_bar(result: BracketResult) -> str:
    """A bar from 0 to 100 %: certified, undecided, attacked, wrong; the two ends named above, the intervals below."""
    edges = [0.0, result.lower, result.upper, result.clean, 1.0]
    names = ("certified", "undecided", "attacked", "wrong")
    parts = [_part(a, b, COLOURS[name]) for a, b, name in zip(edges, edges[1:], names, strict=False)]
    intervals = [
        _interval(*result.intervals["lower"], COLOURS["certified"], 0),
        _interval(*result.intervals["upper"], COLOURS["attacked"], 1),
    ]
    ticks = [_tick(share / 4) for share in range(5)]
    label = f"{result.lower:.1%} certified, {result.upper:.1%} under attack, {result.clean:.1%} clean"
    inside = "".join(parts + _ends(result) + intervals + ticks)
    return f'<svg class="bar" viewBox="0 0 800 134" role="img" aria-label="{label}">{inside}</svg>'


def _ends(result: BracketResult) -> list[str]:
    """The two arms with their numbers, which lean outwards unless the edge of the drawing is near.

    The number that leans over the other arm stands above it, so that no line crosses a number.
    """
    inwards = result.lower < 0.25
    low, high = (_HIGH, _LOW) if inwards else (_LOW, _HIGH)
    return [
        _end(result.lower, "start" if inwards else "end", low, "certified"),
        _end(result.upper, "end" if result.upper > 0.75 else "start", high, "under attack"),
    ]


def _x(share: float) -> float:
    return round(_LEFT + share * _WIDTH, 2)


def _part(start: float, end: float, colour: str) -> str:
    width = round(_x(end) - _x(start), 2)
    return f'<rect x="{_x(start)}" y="{_TOP}" width="{width}" height="{_HEIGHT}" fill="{colour}"/>' if width > 0 else ""


def _end(share: float, lean: str, row: float, word: str) -> str:
    shift = -5 if lean == "end" else 5
    arm = f'<line x1="{_x(share)}" x2="{_x(share)}" y1="{row - 10}" y2="{_TOP + _HEIGHT}" class="arm"/>'
    return f'{arm}<text x="{_x(share) + shift}" y="{row}" text-anchor="{lean}">{share:.1%} {word}</text>'


def _interval(low: float, high: float, colour: str, row: int) -> str:
    y = _TOP + _HEIGHT + 9 + 8 * row
    whiskers = "".join(f'<line x1="{_x(e)}" x2="{_x(e)}" y1="{y - 3}" y2="{y + 3}"/>' for e in (low, high))
    return (
        f'<g stroke="{colour}" stroke-width="2"><line x1="{_x(low)}" x2="{_x(high)}" y1="{y}" y2="{y}"/>{whiskers}</g>'
    )


def _tick(share: float) -> str:
    y = _TOP + _HEIGHT + 44
    return f'<text x="{_x(share)}" y="{y}" text-anchor="middle" class="tick">{share:.0%}</text>'
