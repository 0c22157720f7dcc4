"""A few examples in pictures: the image, the perturbation, and their sum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from inradius.bracketing.example import Example
from inradius.report.palette import WORDS
from inradius.report.pictures import SHOWN, data_address, is_picture, signed, span

if TYPE_CHECKING:
    from inradius.report.report import Report


def chosen(examples: Sequence[Example]) -> list[int]:
    """The rows that the page shows: attacked and undecided examples in turn, the first of each."""
    broken = [e.row for e in examples if e.status == "attacked" and e.attempt]
    open_ = [e.row for e in examples if e.status in ("undecided", "within_rounding") and e.attempt]
    share = max(SHOWN // 2, SHOWN - len(open_))
    broken = broken[:share]
    return broken + open_[: SHOWN - len(broken)]


def gallery(report: "Report") -> str:
    """The pictures as a section of the page; empty where the inputs are not images."""
    by_row = {example.row: example for example in report.examples}
    strips = [
        _strip(by_row[row], x, report.deltas[row], report.setting.bounds)
        for row, x in report.inputs.items()
        if row in report.deltas and is_picture(x)
    ]
    if not strips:
        return ""
    note = (
        "The perturbation is stretched to its own largest value: that of a grey image is blue where it takes away and "
        "orange where it adds, that of a colour image is drawn around grey."
    )
    return f'<section><h2>Examples</h2><p>{note}</p><div class="gallery">{"".join(strips)}</div></section>'


def _strip(example: Example, x: Tensor, delta: Tensor, bounds: tuple[float, float] | None) -> str:
    reach = float(delta.abs().max()) or 1.0
    low, high = bounds or span(x, x + delta)
    pictures = (
        ("image", data_address(x, (low, high))),
        ("perturbation", data_address(signed(delta), (0.0, 1.0))),
        ("their sum", data_address(x + delta, (low, high))),
    )
    images = "".join(f'<img src="{address}" alt="{word}" title="{word}">' for word, address in pictures)
    return f"<figure>{images}<figcaption>{_caption(example, reach)}</figcaption></figure>"


def _caption(example: Example, reach: float) -> str:
    margin, bound = example.margin, example.bound
    text = f"no. {example.index}, class {example.label}: {WORDS[example.status]}; margin {margin:.3g}"
    text += f" ≥ {bound:.3g}" if bound is not None else ""
    return f"{text}, largest change {reach:.3g}"
