"""Draws docs/assets/price.svg: what the mass of one pixel gains by moving, and the dual of a Wasserstein ball in the price.

Every number is computed, for an image of MNIST and the gradient of a margin of a trained network. Run it from the root of
the repository, with the extra ``demo`` installed: ``python docs/_figures/price.py``.
"""

from itertools import pairwise
from pathlib import Path
from string import Template

import torch
from torch import Tensor

import inradius
from inradius import Dataset, ThreatModel

FRAME = Path(__file__).with_name("price_frame.svg")
TARGET = Path(__file__).parents[1] / "assets" / "price.svg"

EPS = 0.05
KERNEL = 5
ROW = 4
# where the two diagrams are drawn: left, top, width, height
LEFT = (52.0, 36.0, 300.0, 230.0)
RIGHT = (438.0, 36.0, 300.0, 230.0)
# the cheapest and the dearest price that the right one shows, in terms of the best
PRICES = (0.0, 2.2)

Point = tuple[float, float]
Frame = tuple[float, float, float, float]


def question() -> tuple[Tensor, Tensor]:
    """An image and the direction in which its runner-up gains most, two of (28, 28)."""
    data = inradius.make("mnist5k", Dataset)
    x = data.inputs[ROW : ROW + 1].clone().requires_grad_()
    logits = inradius.load_model("mnist_small_standard")(x)
    label = int(data.labels[ROW])
    other = int(logits[0].argsort(descending=True)[1])
    (gradient,) = torch.autograd.grad(logits[0, other] - logits[0, label], x)
    return x.detach()[0, 0].double(), gradient[0, 0].double()


def offers(c: Tensor) -> tuple[Tensor, Tensor]:
    """The cost of each move of the window, and what each pixel gains by it, (m,) and (28, 28, m)."""
    reach = range(-(KERNEL // 2), KERNEL // 2 + 1)
    steps = [(a, b) for a in reach for b in reach]
    padded = torch.nn.functional.pad(c, (KERNEL // 2,) * 4, value=-torch.inf)
    ends = [padded[a + 2 : a + 30, b + 2 : b + 30] for a, b in steps]
    cost = torch.tensor([(a * a + b * b) ** 0.5 for a, b in steps], dtype=torch.float64)
    return cost, torch.stack(ends, dim=-1) - c[..., None]


def hull(points: list[Point]) -> list[Point]:
    """The corners of the upper concave hull from (0, 0) to its highest point."""
    corners: list[Point] = [(0.0, 0.0)]
    while True:
        cost, gain = corners[-1]
        slopes = [((g - gain) / (k - cost), k, g) for k, g in points if k > cost + 1e-9 and g > gain + 1e-12]
        if not slopes:
            return corners
        _, k, g = max(slopes)
        corners.append((k, g))


def shown(x: Tensor, cost: Tensor, gain: Tensor, best: float) -> tuple[list[Point], list[Point]]:
    """The offers and the hull of the pixel with mass that changes its mind most often, with the best price inside its slopes."""
    found: tuple[int, list[Point], list[Point]] = (0, [], [])
    for place in (x > 0.5).nonzero().tolist():
        mine = gain[place[0], place[1]]
        points = [(float(k), float(g)) for k, g in zip(cost, mine, strict=True) if g > -torch.inf]
        corners = hull(points)
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(corners)]
        between = any(slope > best for slope in slopes) and any(slope < best for slope in slopes)
        if between and len(slopes) > found[0]:
            found = (len(slopes), points, corners)
    return found[1], found[2]


def place(point: Point, frame: Frame, low: Point, high: Point) -> Point:
    left, top, width, height = frame
    return (
        left + width * (point[0] - low[0]) / (high[0] - low[0]),
        top + height * (1 - (point[1] - low[1]) / (high[1] - low[1])),
    )


def path(points: list[Point]) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def draw() -> str:
    """The picture."""
    x, c = question()
    cost, gain = offers(c)
    budget = EPS * float(x.sum())
    prices = torch.linspace(0, 3 * float(gain[x > 0].amax()), 30001, dtype=torch.float64)
    dual = torch.stack([_dual(price, x, cost, gain, budget) for price in prices])
    best, value = float(prices[dual.argmin()]), float(dual.min())
    ball = inradius.make(f"wasserstein(eps={EPS})", ThreatModel)
    exact = float(ball.support(c[None, None, None], x[None, None]))
    if not exact <= value <= 1.001 * exact:
        raise SystemExit(f"the grid's {value} is not the support {exact}")
    return Template(FRAME.read_text()).substitute(left(x, cost, gain, best) | right(prices, dual, best, value))


def _dual(price: Tensor, x: Tensor, cost: Tensor, gain: Tensor, budget: float) -> Tensor:
    return price * budget + (x * (gain - price * cost).amax(-1)).sum()


def left(x: Tensor, cost: Tensor, gain: Tensor, best: float) -> dict[str, str]:
    """The offers of one pixel, their hull, and the line of slope ψ that touches it."""
    points, corners = shown(x, cost, gain, best)
    low, high = (0.0, min(0.0, *(g for _, g in points))), (3.0, 1.12 * max(g for _, g in points))
    touching = max(corners, key=lambda corner: corner[1] - best * corner[0])
    offset = touching[1] - best * touching[0]
    ends = [(k, offset + best * k) for k in (0.0, min(3.0, (high[1] - offset) / best))]
    at = [place(point, LEFT, low, high) for point in points]
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in at)
    touch, origin = place(touching, LEFT, low, high), place((0.0, 0.0), LEFT, low, high)
    return {
        "dots": dots,
        "hull": path([place(corner, LEFT, low, high) for corner in corners]),
        "line": path([place(end, LEFT, low, high) for end in ends]),
        "line_x": f"{place(ends[1], LEFT, low, high)[0] + 8:.1f}",
        "touch_x": f"{touch[0]:.1f}",
        "touch_y": f"{touch[1]:.1f}",
        "zero_y": f"{origin[1]:.1f}",
    }


def right(prices: Tensor, dual: Tensor, best: float, value: float) -> dict[str, str]:
    """D over the price, its minimum, and the price at which no move pays."""
    chosen = prices <= PRICES[1] * best
    across, up = prices[chosen].tolist(), dual[chosen].tolist()
    low, high = (0.0, 0.0), (PRICES[1] * best, 1.1 * max(up))
    curve = [place(point, RIGHT, low, high) for point in zip(across[::20], up[::20], strict=True)]
    bottom = place((best, value), RIGHT, low, high)
    return {
        "curve": path(curve),
        "best_x": f"{bottom[0]:.1f}",
        "best_y": f"{bottom[1]:.1f}",
    }


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(draw())
