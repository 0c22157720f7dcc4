"""The report as one HTML page that needs no other file."""

from collections.abc import Iterable, Mapping
from html import escape
from string import Template

from inradius.bracketing.result import BracketResult
from inradius.report.pictures import gallery
from inradius.report.sections import attack_table, audit_sentences, certifier_table, class_table, kill_section
from inradius.report.steps import steps_section
from inradius.report.style import PAGE
from inradius.report.words import COLOURS, is_top1, words

# the bar of the bracket, in units of its drawing
_WIDTH, _LEFT, _TOP, _HEIGHT = 760.0, 20.0, 46.0, 34.0
# the two rows of numbers above the bar
_HIGH, _LOW = 14.0, 34.0


def render(result: BracketResult) -> str:
    """The whole page."""
    setting = result.setting
    return Template(PAGE).substitute(
        title=escape(f"{setting.model} under {_short(setting.threat)}"),
        subject=f"{escape(setting.model)} on {len(result.examples)} examples of {escape(setting.data)}",
        threat=escape(setting.threat),
        convention=f"<br>{escape(setting.convention)}" if setting.convention else "",
        sentence=_sentence(result),
        bar=bracket_bar(result),
        cards="".join(_cards(result)),
        counts=_counts(result),
        doubts=_doubts(result),
        attacks=attack_table(result),
        kills=kill_section(result) + (steps_section(result) if setting.minimal else ""),
        certifiers=certifier_table(result),
        audit=audit_sentences(result),
        classes=_classes(result),
        gallery=gallery(result),
        setting=_pairs(_setting(result)),
        environment=_pairs({name: value for name, value in result.environment.items() if name != "packages"}),
    )


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _sentence(result: BracketResult) -> str:
    low, high = f"{result.lower:.1%}", f"{result.upper:.1%}"
    kept = "keep their class" if is_top1(result) else f"stay right by <code>{escape(result.setting.outcome)}</code>"
    if result.lower == result.upper:
        return f"Exactly <b>{low}</b> of these examples {kept} under every allowed perturbation."
    return (
        f"Between <b>{low}</b> and <b>{high}</b> of these examples {kept} under every allowed perturbation: "
        f"{result.upper - result.lower:.1%} could be neither proved nor broken."
    )


def _cards(result: BracketResult) -> Iterable[str]:
    texts = {
        "lower": ("certified accuracy", "proved for every perturbation", "certified"),
        "upper": ("accuracy under attack", "not broken by any attack", "attacked"),
        "clean": ("clean accuracy", "without perturbation", "wrong"),
    }
    for name, (title, note, colour) in texts.items():
        low, high = result.intervals[name]
        value = f"{getattr(result, name):.1%}"
        yield (
            f'<div class="card" style="border-color:{COLOURS[colour]}"><h3>{title}</h3><p class="value">{value}</p>'
            f"<p>{note}<br>95 % interval {low:.1%} to {high:.1%}</p></div>"
        )


def _counts(result: BracketResult) -> str:
    items = (
        f'<li><i style="background:{COLOURS[status]}"></i>{count} {words(result)[status]}</li>'
        for status, count in result.counts.items()
        if count
    )
    return "".join(items)


def _doubts(result: BracketResult) -> str:
    """The flags of a result as one section of the page, in HTML; empty where there are none."""
    if not result.flags:
        return ""
    items = "".join(f"<li>{escape(flag)}</li>" for flag in result.flags)
    return f'<section class="doubts"><h2>What makes these numbers doubtful</h2><ul>{items}</ul></section>'


def _setting(result: BracketResult) -> dict[str, object]:
    setting = result.setting
    return {
        "set": setting.threat,
        **({"convention": setting.convention} if setting.convention else {}),
        "broken": setting.outcome,
        "model": f"{setting.model} ({setting.model_fingerprint[:16]})",
        "data": f"{setting.data} ({setting.data_fingerprint[:16]})",
        "members of a union": setting.union,
        "level of claims": setting.claim,
        "audit": "every example" if setting.exhaustive else f"{setting.audit:.0%}, at least 32 of each kind",
        "seed": setting.seed,
        "run": setting.key,
    }


def _classes(result: BracketResult) -> str:
    """The section on classes; empty where labels are none."""
    if all(example.label is None for example in result.examples):
        return ""
    return f"<section><h2>By class</h2>{class_table(result)}</section>"


def _pairs(values: Mapping[str, object]) -> str:
    return "".join(f"<dt>{escape(str(name))}</dt><dd>{_plain(value)}</dd>" for name, value in values.items())


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name} {item}" for name, item in value.items())) or "–"
    return escape(str(value))


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
