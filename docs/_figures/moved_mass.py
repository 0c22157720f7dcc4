"""Draws docs/assets/moved-mass.svg: the smallest Wasserstein and the smallest ℓ∞ perturbation that fool a network.

Both are computed: the radius is the smallest, up to a percent, at which the attack succeeds. Run it from the root of the
repository, with the extra ``demo`` installed: ``python docs/_figures/moved_mass.py``.
"""

from pathlib import Path
from string import Template

import torch
from torch import Tensor, nn

import inradius
from inradius import Attack, Attacked, Dataset, ThreatModel
from inradius.report.pictures import data_address, signed
from inradius_wasserstein import flows

FRAME = Path(__file__).with_name("moved_mass_frame.svg")
TARGET = Path(__file__).parents[1] / "assets" / "moved-mass.svg"

NETWORK = "mnist_small_standard"
ROW = 8
SETS = {"wasserstein": "frank_wolfe(steps=40)", "linf": "pgd(steps=40, restarts=3)"}
# how large a pixel is drawn, and where the change of the Wasserstein row begins
SIZE, LEFT, TOP = 160 / 28, 380.0, 30.0


def smallest(model: nn.Module, x: Tensor, y: Tensor, name: str) -> tuple[float, Attacked]:
    """The smallest radius at which the attack succeeds, up to a percent, and what it finds there."""
    attack = inradius.make(SETS[name], Attack)
    high, low = 1e-3, 0.0
    while not bool((found := attack(model, x, y, _ball(name, high))).success):
        low, high = high, 2 * high
    while high > 1.01 * low:
        middle = (low + high) / 2
        tried = attack(model, x, y, _ball(name, middle))
        if bool(tried.success):
            high, found = middle, tried
        else:
            low = middle
    return high, found


def _ball(name: str, eps: float) -> ThreatModel:
    return inradius.make(f"{name}(eps={eps})", ThreatModel)


def arrows(delta: Tensor, x: Tensor) -> str:
    """The moves of the plan that makes x + δ of x, as lines whose opacity is the amount."""
    ((source, target, amount),) = flows(x, x + delta, kernel=5)
    lines = []
    for start, end, moved in zip(
        source.tolist(), target.tolist(), (amount / amount[source != target].max()).tolist(), strict=True
    ):
        if start != end and moved > 0.1:
            (a, b), (c, d) = _middle(start), _middle(end)
            lines.append(f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke-opacity="{min(1.0, moved):.2f}"/>')
    return "".join(lines)


def _middle(pixel: int) -> tuple[float, float]:
    return LEFT + SIZE * (pixel % 28 + 0.5), TOP + SIZE * (pixel // 28 + 0.5)


def draw() -> str:
    """The picture."""
    data = inradius.make("mnist5k", Dataset)
    x, y = data.inputs[ROW : ROW + 1], data.labels[ROW : ROW + 1]
    model = inradius.load_model(NETWORK)
    fields = {"label": str(int(y)), "image": data_address(x[0], (0, 1))}
    for name in SETS:
        radius, found = smallest(model, x, y, name)
        with torch.no_grad():
            other = int(model(x + found.delta).argmax())
        delta = found.delta[0, 0]
        fields |= {
            f"{name}_arrows": arrows(found.delta, x) if name == "wasserstein" else "",
            f"{name}_radius": f"{radius:.3f}",
            f"{name}_change": data_address(signed(delta), (0, 1)),
            f"{name}_sum": data_address(x[0] + found.delta[0], (0, 1)),
            f"{name}_class": str(other),
            f"{name}_pixels": str(int((delta.abs() > 0.01).sum())),
            f"{name}_largest": f"{float(delta.abs().max()):.2f}",
        }
    return Template(FRAME.read_text()).substitute(fields)


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(draw())
