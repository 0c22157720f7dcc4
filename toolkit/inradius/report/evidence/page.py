"""Evidence as one page to print, which needs no other file."""

from collections.abc import Iterator, Mapping
from html import escape
from string import Template
from typing import Any

from inradius.report.evidence.style import PAGE
from inradius.report.sections import table

_NAMES = {"lower": "certified accuracy", "upper": "accuracy under attack", "clean": "clean accuracy"}
_METRICS = {"certified": "lower", "attacked": "upper", "clean": "clean"}
_SIDES = {"below": "≤ robust accuracy", "above": "≥ robust accuracy"}
# what the tables of methods show of each
_ATTACK = ("spec", "tried", "succeeded", "rejected", "queries")
_CERTIFIER = ("spec", "tried", "certified", "claims", "failure_probability")


def render(record: Mapping[str, Any]) -> str:
    """The page of evidence as ``evidence()`` gives it; the examples are left to the JSON."""
    subject = record["subject"]
    return Template(PAGE).substitute(
        title=escape(f"Evidence: {subject['model']}"),
        subject=f"{escape(subject['model'])} on {subject['examples']} examples of {escape(subject['data'])}",
        declared=_declared(record),
        results=_results(record),
        claims=_pairs(record["claims"]),
        conditions=_pairs(_conditions(record["conditions"])),
        methods="".join(_methods(record)),
        classes=_classes(record),
        audit=_pairs(record["audit"]),
        doubts=_doubts(record["doubts"]),
        hashes=_pairs(record["hashes"] | {"this evidence": record["sha256"]}),
        environment=_pairs(_environment(record)),
        command=escape(record["repeat"]["command"]),
        note=escape(record["repeat"]["note"]),
        reported=escape(str(record["times"]["reported"] or "not recorded")),
    )


def _declared(record: Mapping[str, Any]) -> str:
    if not record["declared"]:
        return "<p>No threshold was declared.</p>"
    rows = (
        (
            _NAMES[_METRICS[each["metric"]]],
            f"{each['threshold']:.1%}",
            f"{each['value']:.1%}",
            _interval(each),
            escape(each["claim"]),
            "yes" if each["met"] else "<b>no</b>",
            "yes" if each["met_by_interval"] else "no",
        )
        for each in record["declared"]
    )
    head = ("metric", "declared", "found", "95 % interval", "claim", "met here", "met by the interval")
    return table(head, rows)


def _results(record: Mapping[str, Any]) -> str:
    found = record["results"]
    rows = (_result(name, found[key]) for key, name in _NAMES.items())
    made = table(("accuracy", "value", "examples", "95 % interval", "interval by", "bounds", "claim"), rows)
    robust, claims = found["robust"], found["robust"]["claims"]
    low, high = f"{robust['at_least']:.1%} ({claims['at_least']})", f"{robust['at_most']:.1%} ({claims['at_most']})"
    return (
        f"{made}<p>The robust accuracy of these examples is at least {low} and at most {high}; for the population the 95 % "
        f"interval of the whole bracket is {_interval(robust)}.</p>"
    )


def _result(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    levels = found.get("levels", {})
    claim = found["claim"] if len(levels) < 2 else ", ".join(f"{count} {level}" for level, count in levels.items())
    chance = found.get("failure_probability", 0)
    return (
        name,
        f"{found['value']:.1%}",
        f"{found['count']} of {found['total']}",
        _interval(found),
        escape(found["method"]),
        _SIDES[found["bounds"]],
        escape(claim) + (f" (wrong with probability ≤ {chance:.2g})" if chance else ""),
    )


def _interval(found: Mapping[str, Any], digits: int = 1) -> str:
    low, high = found["interval"]
    return f"{low:.{digits}%} to {high:.{digits}%}"


def _conditions(found: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions less the methods, which have tables of their own."""
    return {
        **{name: value for name, value in found.items() if name not in ("attacks", "certifiers", "seeds")},
        "seed of the run": found["seeds"]["run"],
    }


def _methods(record: Mapping[str, Any]) -> Iterator[str]:
    seeds = record["conditions"]["seeds"]["methods"]
    for kind, names in (("attacks", _ATTACK), ("certifiers", _CERTIFIER)):
        if record[kind]:
            rows = ([*(_cell(each[name]) for name in names), _cell(seeds[each["spec"]])] for each in record[kind])
            yield table([*(name.replace("_", " ") for name in names), "seeds"], rows)
        else:
            yield f"<p>No {kind} were run.</p>"


def _classes(record: Mapping[str, Any]) -> str:
    if not record["classes"]:
        return "<p>Labels are not classes.</p>"
    rows = (
        (
            each["label"],
            each["examples"],
            *(f"{each[name]['value']:.1%} ({_interval(each[name], 0)})" for name in _NAMES),
            escape(each["lower"]["claim"]),
        )
        for each in record["classes"]
    )
    return table(("class", "examples", *_NAMES.values(), "claim of the first"), rows)


def _doubts(found: list[str]) -> str:
    if not found:
        return "<p>None was found.</p>"
    return f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in found)}</ul>"


def _environment(record: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with the number of packages in place of their list, which is in the JSON."""
    found = dict(record["environment"])
    packages = found.pop("packages", {})
    return found | {"packages": f"{len(packages)} distributions, listed in evidence.json"}


def _pairs(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{_cell(value)}</dd>" for name, value in values.items()
    )


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name} {item}" for name, item in value.items())) or "–"
    if isinstance(value, list):
        return escape(", ".join(map(str, value))) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value in (None, "") else escape(f"{value:.6g}" if isinstance(value, float) else str(value))
