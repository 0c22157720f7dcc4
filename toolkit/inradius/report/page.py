"""The report as one HTML page that needs no other file."""

from collections.abc import Iterable, Mapping
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from inradius.report import levels, tables
from inradius.report.bar import bracket_bar
from inradius.report.cells import number, share, spec, table
from inradius.report.gallery import gallery
from inradius.report.kill_section import kill_section
from inradius.report.palette import COLOURS, WORDS
from inradius.report.steps import steps_section
from inradius.report.style import PAGE

if TYPE_CHECKING:
    from inradius.report.report import Report


def render(report: "Report") -> str:
    """The whole page."""
    setting = report.setting
    return Template(PAGE).substitute(
        title=escape(f"{setting.model} under {_short(setting.threat)}"),
        subject=f"{escape(setting.model)} on {len(report.examples)} examples of {escape(setting.data)}",
        threat=escape(setting.threat),
        convention=f"<br>{escape(setting.convention)}" if setting.convention else "",
        sentence=_sentence(report),
        bar=bracket_bar(report),
        cards="".join(_cards(report)),
        counts=_counts(report),
        doubts=_doubts(report),
        attacks=_attacks(report),
        kills=kill_section(report) + steps_section(report),
        certifiers=_certifiers(report),
        audit=_audit(report),
        classes=_classes(report),
        gallery=gallery(report),
        setting=_pairs(_setting(report)),
        environment=_pairs(report.environment),
    )


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _sentence(report: "Report") -> str:
    low, high = f"{report.lower:.1%}", f"{report.upper:.1%}"
    if report.lower == report.upper:
        return f"Exactly <b>{low}</b> of these examples keep their class under every allowed perturbation."
    return (
        f"Between <b>{low}</b> and <b>{high}</b> of these examples keep their class under every allowed perturbation: "
        f"{report.upper - report.lower:.1%} could be neither proved nor broken."
    )


def _cards(report: "Report") -> Iterable[str]:
    texts = {
        "lower": ("certified accuracy", "proved for every perturbation", "certified"),
        "upper": ("accuracy under attack", "not broken by any attack", "attacked"),
        "clean": ("clean accuracy", "without perturbation", "wrong"),
    }
    for name, (title, note, colour) in texts.items():
        low, high = report.intervals[name]
        value = f"{getattr(report, name):.1%}"
        yield (
            f'<div class="card" style="border-color:{COLOURS[colour]}"><h3>{title}</h3><p class="value">{value}</p>'
            f"<p>{note}<br>95 % interval {low:.1%} to {high:.1%}</p></div>"
        )


def _counts(report: "Report") -> str:
    items = (
        f'<li><i style="background:{COLOURS[status]}"></i>{count} {WORDS[status]}</li>'
        for status, count in report.counts.items()
        if count
    )
    return "".join(items)


def _attacks(report: "Report") -> str:
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
        for name, found in tables.by_attack(report).items()
    ]
    head = ("attack", "tried on", "broke", "credited", "images evaluated", "largest gauge", "rejected", "seconds")
    return table(head, rows) + f"<p>{_referee(report)}</p>" if rows else "<p>No attack was run.</p>"


def _referee(report: "Report") -> str:
    """What the referee saw, in a sentence."""
    found = tables.membership([attempt for example in report.examples for attempt in example.attempts])
    text = (
        "Every answer of an attack was judged again by code that had no part in finding it: member of the set, within the "
        "box of valid inputs, finite, and another class on the plain model, where it is close also by itself and in float64. "
    )
    if not found["rejected"]:
        return text + "None was rejected."
    return text + f"<b>{found['rejected']} were rejected</b> and count as failures."


def _doubts(report: "Report") -> str:
    """The flags, above what they throw doubt on; nothing where there are none."""
    if not report.flags:
        return ""
    items = "".join(f"<li>{escape(flag)}</li>" for flag in report.flags)
    return f'<section class="doubts"><h2>What makes these numbers doubtful</h2><ul>{items}</ul></section>'


def _certifiers(report: "Report") -> str:
    rows = [
        (
            spec(name, found["spec"]),
            found["tried"],
            found["certified"],
            levels.listed(found["claims"]),
            found["decided"],
            f"{found['failure_probability']:g}",
            f"{found['seconds']:.1f}",
        )
        for name, found in tables.by_certifier(report).items()
    ]
    head = ("certifier", "tried on", "certified", "claim", "credited", "failure probability", "seconds")
    return (
        table(head, rows) + f"<p>{escape(levels.sentences(report), quote=False)}</p>"
        if rows
        else "<p>No certifier was run.</p>"
    )


def _audit(report: "Report") -> str:
    found = tables.audit(report)
    slack = found["smallest_slack"]
    text = (
        f"{found['certified_and_attacked']} certified examples were handed to every attack as well, and "
        f"{found['broken_and_certified']} broken ones to every certifier. No attack contradicts a proof"
    )
    text += "." if slack is None else f"; the closest came within {slack:.2g} of the proved margin."
    if found["within_rounding"]:
        text += (
            f" {found['within_rounding']} are within rounding, by a perturbation that fools the model in one order of "
            "summation and not in another, or by one on the brink of a proof; they count as undecided."
        )
    if found["conflicts"]:
        text += f" {found['conflicts']} with a certificate that is no proof were broken."
    return text


def _classes(report: "Report") -> str:
    rows = [
        (g["label"], g["examples"], *(share(g[name], g["intervals"][name]) for name in _CLASS_COLUMNS), _meter(g))
        for g in tables.by_class(report.examples)
    ]
    return table(("class", "examples", "clean", "under attack", "certified", ""), rows)


_CLASS_COLUMNS = ("clean", "upper", "lower")


def _meter(group: Mapping[str, Any]) -> str:
    shares = {
        "certified": group["lower"],
        "undecided": group["upper"] - group["lower"],
        "attacked": group["clean"] - group["upper"],
        "wrong": 1 - group["clean"],
    }
    spans = (f'<i style="width:{share:.2%};background:{COLOURS[name]}"></i>' for name, share in shares.items() if share)
    return f'<span class="meter">{"".join(spans)}</span>'


def _setting(report: "Report") -> dict[str, object]:
    setting = report.setting
    return {
        "set": setting.threat,
        **({"convention": setting.convention} if setting.convention else {}),
        "model": f"{setting.model} ({setting.model_fingerprint[:16]})",
        "data": f"{setting.data} ({setting.data_fingerprint[:16]})",
        "members of a union": setting.union,
        "level of claims": setting.claim,
        "audit": "every example" if setting.exhaustive else f"{setting.audit:.0%}, at least 32 of each kind",
        "seed": setting.seed,
        "run": setting.key,
    }


def _pairs(values: Mapping[str, object]) -> str:
    return "".join(f"<dt>{escape(str(name))}</dt><dd>{_plain(value)}</dd>" for name, value in values.items())


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name} {item}" for name, item in value.items())) or "–"
    return escape(str(value))
