"""The accuracy under attack over the radius as steps, drawn as inline SVG."""

from itertools import pairwise

from inradius.bracketing.result import BracketResult
from inradius.report.robustness import Robustness, robustness_curve
from inradius.report.words import COLOURS

_WIDTH, _HEIGHT, _LEFT, _TOP = 700.0, 160.0, 60.0, 12.0


def steps_section(result: BracketResult) -> str:
    """The curve of a report with a minimal-norm attack, as a section of the page."""
    curve = robustness_curve(result)
    unit = "the radius" if curve.radius is None else f"{curve.radius:g}"
    note = (
        f"The smallest perturbations of {', '.join(result.setting.minimal)}, at every radius; half of the examples break by "
        f"{curve.median:.3g} times {unit}. The numbers are in robustness.csv."
    )
    return f"<section><h2>Over the radius</h2><p>{note}</p>{_drawing(curve)}</section>"


def _drawing(curve: Robustness) -> str:
    steps = curve.steps
    end = 1.05 * steps[-1] or 1.0
    corners = [(0.0, curve.at(0.0))]
    for before, after in pairwise(steps):
        corners += [(after, curve.at(before)), (after, curve.at(after))]
    corners.append((end, curve.at(steps[-1])))
    points = " ".join(f"{_x(factor / end)},{_y(share)}" for factor, share in corners)
    line = f'<polyline points="{points}" fill="none" stroke="{COLOURS["attacked"]}" stroke-width="2"/>'
    shares = "".join(_share(share / 4) for share in range(5))
    unit = curve.radius or 1.0
    radii = "".join(_radius(place / 4, place / 4 * end * unit) for place in range(5))
    label = "accuracy under attack over the radius"
    return f'<svg class="bar" viewBox="0 0 800 200" role="img" aria-label="{label}">{shares}{radii}{line}</svg>'


def _x(share: float) -> float:
    return round(_LEFT + share * _WIDTH, 2)


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * _HEIGHT, 2)


def _share(share: float) -> str:
    rule = f'<line x1="{_x(0)}" x2="{_x(1)}" y1="{_y(share)}" y2="{_y(share)}" stroke="#8886" stroke-width="1"/>'
    return f'{rule}<text x="{_LEFT - 8}" y="{_y(share) + 4}" text-anchor="end" class="tick">{share:.0%}</text>'


def _radius(share: float, radius: float) -> str:
    return f'<text x="{_x(share)}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle" class="tick">{radius:.3g}</text>'
