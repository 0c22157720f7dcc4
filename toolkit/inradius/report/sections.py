"""The tables of the page: attacks, which of them broke which example, certifiers, the audit, and the classes."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from inradius.bracketing.result import BracketResult
from inradius.bracketing.summary import audit, by_attack, by_certifier, by_class, kills, membership, shares_of_class
from inradius.report.words import COLOURS, is_top1, listed_claims, sentences_on_claims


def attack_table(result: BracketResult) -> str:
    """A row for each attack, and a sentence on the referee."""
    rows = [
        (
            spec(name, found["spec"]),
            found["tried"],
            found["succeeded"],
            found["decided"],
            found["queries"],
            number(found["membership"]["largest_gauge"], "{:.6f}"),
            found["rejected"],
            f"{found['seconds']:.1f}",
        )
        for name, found in by_attack(result).items()
    ]
    head = ("attack", "tried on", "broke", "credited", "images evaluated", "largest gauge", "rejected", "seconds")
    return table(head, rows) + f"<p>{_referee(result)}</p>" if rows else "<p>No attack was run.</p>"


def _referee(result: BracketResult) -> str:
    """A sentence on the answers that the referee rejected."""
    found = membership([attempt for example in result.examples for attempt in example.attempts])
    lost = "another class" if is_top1(result) else f"broken by {escape(result.setting.outcome)}"
    text = (
        "Every answer of an attack was judged again by code that had no part in finding it: member of the set, within the "
        f"box of valid inputs, finite, and {lost} on the plain model, where it is close also by itself and in float64. "
    )
    if not found["rejected"]:
        return text + "None was rejected."
    return text + f"<b>{found['rejected']} were rejected</b> and count as failures."


def certifier_table(result: BracketResult) -> str:
    """A row for each certifier, and sentences on the levels of its certificates."""
    rows = [
        (
            spec(name, found["spec"]),
            found["tried"],
            found["certified"],
            listed_claims(found["claims"]),
            found["decided"],
            found["refuted"],
            f"{found['failure_probability']:g}",
            f"{found['seconds']:.1f}",
        )
        for name, found in by_certifier(result).items()
    ]
    head = ("certifier", "tried on", "certified", "claim", "credited", "refuted", "failure probability", "seconds")
    return (
        table(head, rows) + f"<p>{escape(sentences_on_claims(result), quote=False)}</p>"
        if rows
        else "<p>No certifier was run.</p>"
    )


def audit_sentences(result: BracketResult) -> str:
    """Sentences on the audit of decided examples."""
    found = audit(result)
    slack = found["smallest_slack"]
    text = (
        f"{found['certified_and_attacked']} certified examples were handed to every attack as well, and "
        f"{found['broken_and_certified']} broken ones to every certifier. No attack contradicts a proof"
    )
    text += "." if slack is None else f"; the closest came within {slack:.2g} of the proved margin."
    if found["within_rounding"]:
        text += (
            f" {found['within_rounding']} are within rounding, by a perturbation that is misclassified in one order of "
            "summation and not in another, or by one on the brink of a proof; they count as undecided."
        )
    if found["conflicts"]:
        text += f" {found['conflicts']} with a certificate that is no proof were broken."
    return text


def class_table(result: BracketResult) -> str:
    """A row for each class, with its bracket as a small bar."""
    rows = [
        (g["label"], g["examples"], *(share(g[name], g["intervals"][name]) for name in _CLASS_COLUMNS), _meter(g))
        for g in by_class(result.examples)
    ]
    return table(("class", "examples", "clean", "under attack", "certified", ""), rows)


_CLASS_COLUMNS = ("clean", "upper", "lower")


def _meter(group: Mapping[str, Any]) -> str:
    spans = (
        f'<i style="width:{share:.2%};background:{COLOURS[name]}"></i>'
        for name, share in shares_of_class(group).items()
        if share
    )
    return f'<span class="meter">{"".join(spans)}</span>'


def kill_section(result: BracketResult) -> str:
    """The examples that each attack broke, alone, together and in pairs, as a section of the page; empty without attacks."""
    specs = result.setting.attacks
    if not specs:
        return ""
    found = kills(result)
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
    """The number of examples that two attacks both broke, for each pair, as a table; empty where that is not known."""
    if not found["complete"] or len(specs) < 2:
        return ""
    rows = ([f"<code>{escape(name)}</code>", *row] for name, row in zip(specs, found["pairs"], strict=True))
    return "<p>Broken by both:</p>" + table(["", *(f"<code>{escape(name)}</code>" for name in specs)], rows)


def spec(name: str, full: str) -> str:
    """A short spec that shows the full one to a pointer."""
    return f'<code title="{escape(full)}">{escape(name)}</code>'


def number(value: float | None, form: str) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else form.format(value)


def share(value: float, interval: Sequence[float]) -> str:
    """A share with its 95 % interval."""
    low, high = interval
    return f'{value:.1%} <span class="soft">({low:.0%} to {high:.0%})</span>'


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
