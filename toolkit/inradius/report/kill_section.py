"""The kill table as a section of the page."""

from html import escape
from typing import TYPE_CHECKING, Any

from inradius.report import kills
from inradius.report.cells import share, spec, table

if TYPE_CHECKING:
    from inradius.report.report import Report


def kill_section(report: "Report") -> str:
    """What each attack broke, alone and together, and what two of them both broke; empty where no attack was run."""
    specs = report.setting.attacks
    if not specs:
        return ""
    found = kills.summary(report)
    body = table(_HEAD, [_row(name, full, found["attacks"][name]) for name, full in specs.items()])
    return f"<section><h2>Which attack broke what</h2><p>{_note(found)}</p>{body}{_pairs(list(specs), found)}</section>"


_HEAD = ("attack", "broke", "only it", "accuracy it leaves alone", "with those above it")


def _row(name: str, full: str, one: dict[str, Any]) -> list[object]:
    alone, together = one["alone"], one["together"]
    return [
        spec(name, full),
        one["broke"],
        "–" if one["unique"] is None else one["unique"],
        "–" if alone is None else share(alone["accuracy"], alone["interval"]),
        share(together["accuracy"], together["interval"]),
    ]


def _note(found: dict[str, Any]) -> str:
    text = "Example by example it is in kills.csv. "
    if found["complete"]:
        return text + "Every attack met every example that is classified correctly."
    return (
        text + "Decided examples dropped out, so what an attack breaks alone is not known; exhaustive=True finds out."
    )


def _pairs(specs: list[str], found: dict[str, Any]) -> str:
    """How many examples two attacks both broke."""
    if not found["complete"] or len(specs) < 2:
        return ""
    rows = ([f"<code>{escape(name)}</code>", *row] for name, row in zip(specs, found["pairs"], strict=True))
    return "<p>Broken by both:</p>" + table(["", *(f"<code>{escape(name)}</code>" for name in specs)], rows)
