"""What the page's tables are made of."""

from collections.abc import Iterable, Sequence
from html import escape


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
