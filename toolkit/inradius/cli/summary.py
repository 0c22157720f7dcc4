"""A report in a few lines, printed."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from inradius.certifiers.certificate import MEANING
from inradius.cli.console import console, say, table
from inradius.report import Report, plot_curve, robustness_curve
from inradius.report.words import is_top1, listed_claims, sentence_on_weaker, words

STATUSES = ("wrong", "attacked", "within_rounding", "undecided", "certified")


UNION = {"each": "certified one by one", "hull": "certified in one pass, as their convex hull"}


def show(
    report: Report, *, of: int | None = None, seconds: float | None = None, members: int = 1, classes: bool = False
) -> None:
    """Prints the bracket, the numbers of each method, the flags, and the place of the page.

    ``members`` is how many the set has; ``classes`` adds the bracket of each class.
    """
    total, printer = len(report.examples), console()
    whole = f" of {of}" if of is not None and of > total else ""
    say(f"model    {report.setting.model}")
    say(f"data     {report.setting.data}, {total}{whole} examples")
    say(f"threat   {report.setting.threat}")
    if not is_top1(report):
        say(f"outcome  {report.setting.outcome}")
    if report.setting.votes > 1:
        say(f"votes    {report.setting.votes} passes of a random model")
    if report.setting.convention:
        say(f"         {report.setting.convention}")
    if report.setting.certifiers and (members > 1 or report.setting.union == "hull"):
        say(f"members  {UNION[report.setting.union]}")
    if report.setting.certifiers:
        say(f"claim    {report.setting.claim}, {MEANING[report.setting.claim]}")
    say()
    printer.print(_accuracies(report))
    if _attacked(report) and report.setting.certifiers:
        say(f"gap {100 * (report.upper - report.lower):.1f} points")
    named = words(report) | {"undecided": _undecided(report)}
    say(", ".join(f"{report.counts[status]} {named[status]}" for status in STATUSES if report.counts[status]))
    if found := sentence_on_weaker(report):
        say(found)
    for made in (_attacks(report), _certifiers(report), *([_classes(report)] if classes else [])):
        if made.row_count:
            say()
            printer.print(made)
    for line in (*_radii(report), *(f"doubt    {flag}" for flag in report.flags)):
        say()
        say(line)
    say()
    say(
        f"computed in {sum(report.seconds.values()):.1f} s"
        + (f"; this command took {seconds:.1f} s" if seconds else "")
    )
    if report.folder is not None:
        say(f"report   {report.folder / 'report.html'}")


def show_curve(reports: Sequence[Report], factors: Sequence[float], path: Path) -> None:
    """Prints the bracket at each radius, and draws it into ``path``."""
    known = reports[0].setting.radius is not None
    columns = ("radius" if known else "times the radius", "certified", "under attack")
    made = table(*columns, right=columns)
    for factor, report in sorted(zip(factors, reports, strict=True), key=lambda pair: pair[0]):
        radius = report.setting.radius if known else factor
        made.add_row(f"{radius:g}", f"{100 * report.lower:.1f} %", f"{100 * report.upper:.1f} %")
    plot_curve(reports, None if reports[0].setting.radius is not None else factors, path=path)
    say()
    console().print(made)
    say(f"figure   {path}")


def _attacked(report: Report) -> bool:
    """True where attacks were run, or a witness of a certifier broke an example."""
    return bool(report.setting.attacks) or report.counts["attacked"] > 0


def _undecided(report: Report) -> str:
    """The word for an example that no method decided, by the methods that were run."""
    if not report.setting.certifiers:
        return "not broken"
    return "undecided" if report.setting.attacks else "not certified"


def _accuracies(report: Report) -> Table:
    """The bracket from below to above; the robust accuracy itself is unknown."""
    shares = {"lower": report.lower, "upper": report.upper, "clean": report.clean}
    made = table("", "accuracy", "95 % interval", "examples", right=("accuracy", "95 % interval", "examples"))

    def row(title: str, name: str) -> None:
        low, high = report.intervals[name]
        right = f"{round(shares[name] * len(report.examples))} of {len(report.examples)}"
        # the first of a chain has nothing below it
        made.add_row(
            f"≤ {title}" if made.row_count else title,
            f"{100 * shares[name]:.1f} %",
            f"{100 * low:.1f} to {100 * high:.1f} %",
            right,
        )

    if report.setting.certifiers:
        row("certified", "lower")
    if _attacked(report) and report.setting.certifiers:
        made.add_row("≤ robust", "between", "", "")
    if _attacked(report):
        row("under attack", "upper")
    row("clean", "clean")
    return made


def _attacks(report: Report) -> Table:
    """The numbers of each attack; those of an attack alone are known where every attack was run on every example."""
    summary = report.summary()
    kills, whole = summary["kills"]["attacks"], summary["kills"]["complete"]
    numbers = (
        *("tried on", "broke", *(("only it", "left alone") if whole else ()), "left together"),
        *("rejected", "images evaluated", "seconds"),
    )
    made = table("attack", *numbers, right=numbers)
    for spec, entry in summary["attacks"].items():
        mine = kills[spec]
        alone = (str(mine["unique"]), _percent(mine["alone"]["accuracy"])) if whole else ()
        made.add_row(
            spec,
            str(entry["tried"]),
            str(entry["succeeded"]),
            *alone,
            _percent(mine["together"]["accuracy"]),
            str(entry["rejected"]),
            str(entry["queries"]),
            f"{entry['seconds']:.2f}",
        )
    return made


def _classes(report: Report) -> Table:
    """The bracket of each class, from the least robust one on, with 95 % intervals."""
    names = {"lower": "certified", "upper": "under attack", "clean": "clean"}
    if not report.setting.certifiers:
        del names["lower"]
    if not _attacked(report):
        del names["upper"]
    made = table("class", "examples", *names.values(), right=("class", "examples", *names.values()))
    first = next(iter(names))
    for group in sorted(report.summary()["classes"], key=lambda group: (group[first], group["label"])):
        shares = (f"{_percent(group[name])} ({_interval(group['intervals'][name])})" for name in names)
        made.add_row(str(group["label"]), str(group["examples"]), *shares)
    return made


def _radii(report: Report) -> list[str]:
    """A line on the radius at which examples break, where an attack looked for the smallest perturbation; else no line."""
    if not report.setting.minimal:
        return []
    curve = robustness_curve(report)
    unit, word = (1.0, "times the radius") if curve.radius is None else (curve.radius, "")
    quarter, three = (curve.quantile(share) for share in (0.25, 0.75))
    found = " to ".join(f"{unit * value:.4g}" for value in (quarter, three))
    return [
        f"radius   half of the examples break by {unit * curve.median:.4g} {word}".rstrip()
        + f", the middle half by {found}"
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(ends: Sequence[float]) -> str:
    return " to ".join(f"{100 * end:.0f}" for end in ends)


def _certifiers(report: Report) -> Table:
    found = report.summary()["certifiers"]
    any_refuted = any(entry["refuted"] for entry in found.values())
    numbers = ("tried on", "certified", "claim", *(("refuted",) if any_refuted else ()), "seconds")
    made = table("certifier", *numbers, right=numbers)
    for spec, entry in found.items():
        claims = listed_claims(entry["claims"])
        refuted = (str(entry["refuted"]),) if any_refuted else ()
        made.add_row(
            spec, str(entry["tried"]), str(entry["certified"]), claims or "–", *refuted, f"{entry['seconds']:.2f}"
        )
    return made
