"""Draws docs/assets/bracket.svg: a set, an attack and a certificate around one input of a network in the plane.

Every shape is computed: the network is trained here, the star is the point that ``pgd`` finds in the smallest set in which
it finds one, and the inner set is the largest that ``dual`` certifies. Run it from the root of the repository, with the
extra ``demo`` installed: ``python docs/_figures/bracket.py``.
"""

import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from string import Template

import contourpy
import torch
from torch import Tensor, nn

import inradius
from inradius import Attack, Certifier, Dataset, ThreatModel, make

FRAME = Path(__file__).with_name("frame.svg")
TARGET = Path(__file__).parents[1] / "assets" / "bracket.svg"

INPUT = torch.tensor([[0.7, 0.1]])
RADIUS = 0.24
# the corner of the plane that is shown, and where
LOW, SIZE = (0.36, -0.05), 0.7
LEFT, TOP, SIDE = 10.0, 10.0, 380.0
# where the scale of radii is drawn
SCALE_LEFT, SCALE_WIDTH = 430.0, 300.0

Point = tuple[float, float]


def training_data() -> Dataset:
    """Two half moons moved into the box [0, 1]²."""
    moons = make("moons(n=600, noise=0.08)", Dataset)
    low, high = moons.inputs.amin(0), moons.inputs.amax(0)
    return Dataset.of(0.05 + 0.9 * (moons.inputs - low) / (high - low), moons.labels, name="moons in a box")


def trained() -> nn.Module:
    """A small network that separates them."""
    with tempfile.TemporaryDirectory() as folder:
        data, where = training_data(), "l2(eps=0.1)"
        return inradius.train("standard", "mlp(2, 24, 24, 2)", data, where, folder=folder, epochs=150, lr=0.01)


def largest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest radius up to which ``holds`` is true, by bisection."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def ball(radius: float) -> ThreatModel:
    return make(f"l2(eps={radius})", ThreatModel)


def certified_radius(model: nn.Module, y: Tensor) -> float:
    certifier = make("dual", Certifier)
    return largest(lambda radius: bool(certifier(model, INPUT, y, ball(radius)).certified), 0.0, 1.0)


def attacked(model: nn.Module, y: Tensor) -> tuple[float, Tensor]:
    """The smallest radius at which the attack succeeds, and the point that it finds there."""
    attack = make("pgd(steps=100, restarts=10)", Attack)
    safe = largest(lambda radius: not bool(attack(model, INPUT, y, ball(radius)).success), 0.0, 1.0)
    radius = safe * (1 + 1e-6)
    return radius, (INPUT + attack(model, INPUT, y, ball(radius)).delta)[0]


def regions(model: nn.Module, y: Tensor) -> tuple[str, str]:
    """The decision region of the label in the window, and the rest of it."""
    across = torch.linspace(LOW[0], LOW[0] + SIZE, 401)
    up = torch.linspace(LOW[1], LOW[1] + SIZE, 401)
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1).view(-1, 2)
    with torch.no_grad():
        logits = model(grid)
    margin = (logits[:, int(y)] - logits[:, 1 - int(y)]).view(401, 401)
    lines = contourpy.contour_generator(across.numpy(), up.numpy(), margin.numpy())
    kept, lost = (lines.filled(low, high)[0] for low, high in ((0.0, math.inf), (-math.inf, 0.0)))
    return " ".join(map(path, kept)), " ".join(map(path, lost))


def in_the_box(radius: float) -> list[Point]:
    """The outline of the ball cut by the box."""
    turns = [2 * math.pi * step / 240 for step in range(240)]
    a, b = INPUT[0].tolist()
    return [(_clip(a + radius * math.cos(turn)), _clip(b + radius * math.sin(turn))) for turn in turns]


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


def place(point: Point) -> Point:
    """Where a point of the plane is drawn."""
    return LEFT + SIDE * (point[0] - LOW[0]) / SIZE, TOP + SIDE * (1 - (point[1] - LOW[1]) / SIZE)


def path(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in map(place, points)) + "Z"


def star(center: Point, size: float) -> str:
    a, b = center
    turns = [math.pi * (step / 5 - 0.5) for step in range(10)]
    lengths = [size if step % 2 == 0 else 0.45 * size for step in range(10)]
    corners = [(a + r * math.cos(t), b + r * math.sin(t)) for r, t in zip(lengths, turns, strict=True)]
    return "M" + "L".join(f"{c:.1f} {d:.1f}" for c, d in corners) + "Z"


def draw() -> str:
    """The picture."""
    model = trained()
    with torch.no_grad():
        y = model(INPUT).argmax(1)
    proved = certified_radius(model, y)
    found, point = attacked(model, y)
    (x, x_up), (hit, hit_up) = place(tuple(INPUT[0].tolist())), place(tuple(point.tolist()))
    (box_left, box_top), (box_right, box_bottom) = place((0.0, 1.0)), place((1.0, 0.0))
    scale = {"proved": proved, "found": found, "eps": RADIUS}
    kept, lost = regions(model, y)
    marks = {f"at_{name}": f"{SCALE_LEFT + SCALE_WIDTH * value / 0.28:.1f}" for name, value in scale.items()}
    return Template(FRAME.read_text()).substitute(
        region=kept,
        other=lost,
        box=f"M{max(box_left, LEFT):.1f} {box_bottom:.1f}H{box_right:.1f}V{max(box_top, TOP):.1f}",
        delta=path(in_the_box(RADIUS)),
        certified=path(in_the_box(proved)),
        star=star((hit, hit_up), 9),
        **{"x": f"{x:.1f}", "x_up": f"{x_up:.1f}", "hit": f"{hit:.1f}", "hit_up": f"{hit_up:.1f}"},
        # rounded outwards, so that what is written holds
        proved=f"{math.floor(1000 * proved) / 1000:.3f}",
        found=f"{math.ceil(1000 * found) / 1000:.3f}",
        eps=RADIUS,
        **marks,
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(draw())
