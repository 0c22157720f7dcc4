"""Draws docs/assets/moves.png: three digits, how an attack moves their mass, and what becomes of them.

Run it from the root of the repository, with the extra ``demo`` installed: ``python docs/_figures/moves.py``.
"""

from pathlib import Path

import inradius
from inradius import Attack, Dataset, ThreatModel
from inradius.report import perturbation_figure
from inradius_wasserstein import flows

TARGET = Path(__file__).parents[1] / "assets" / "moves.png"
EPS = 0.2
SHOWN = 3


def draw() -> None:
    """Writes the picture of the first images that the attack breaks."""
    data = inradius.make("mnist5k", Dataset).take(20)
    model = inradius.load_model("mnist_small_standard")
    ball = inradius.make(f"wasserstein(eps={EPS}, bounds=(0, 1))", ThreatModel)
    found = inradius.make("frank_wolfe(steps=40)", Attack)(model, data.inputs, data.labels, ball)
    rows = found.success.nonzero().squeeze(1)[:SHOWN]
    x, delta = data.inputs[rows], found.delta[rows]
    classes = model(x + delta).argmax(1).tolist()
    titles = [f"{label} read as {other}" for label, other in zip(data.labels[rows].tolist(), classes, strict=True)]
    perturbation_figure(x, delta, flows=flows(x, x + delta, kernel=5), titles=titles, bounds=(0, 1), path=TARGET)


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    draw()
