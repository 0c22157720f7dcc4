"""Draws docs/assets/wgan.svg: what three Wasserstein GANs make of eight Gaussians, the distances on the way, and digits.

Everything is trained here. Run it from the root of the repository, with the extra ``demo`` installed, in two minutes:
``python docs/_figures/wgan.py``.
"""

import json
import tempfile
from pathlib import Path
from string import Template

import torch
from torch import Tensor

import inradius
from inradius import Dataset

FRAME = Path(__file__).with_name("wgan_frame.svg")
TARGET = Path(__file__).parents[1] / "assets" / "wgan.svg"

# larger steps than the papers', for few epochs in the plane; λ = 0.1 is that of the toys of Gulrajani et al.
METHODS = {
    "clip": "wgan_clip(latent=2, lr=5e-4, c=0.1)",
    "gradient_penalty": "wgan_gradient_penalty(latent=2, lr=1e-3, weight=0.1)",
    "spectral_norm": "wgan_spectral_norm(latent=2, lr=1e-3)",
}
EPOCHS = 200
# left edges of the three columns, their width; scatter and curves: top, height; the distance at the top of the curves
COLUMNS, SIDE = (40.0, 300.0, 560.0), 200.0
SCATTER, CURVES = (30.0, 200.0), (270.0, 110.0)
HIGHEST = 2.4
PLANE = 2.6
DIGITS, DIGIT_TOP, PIXEL = 11, 464.0, 7.0

Line = dict[str, float]


def trained(spec: str) -> tuple[Tensor, list[Line]]:
    """Points of the generator (300, 2), and the lines of its run."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"folder": folder, "epochs": EPOCHS, "batch_size": 256, "schedule": "constant"}
        generator = inradius.train(spec, "mlp(2, 128, 128, 2)", "eight_gaussians(n=2844)", **options)  # type: ignore[arg-type]
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    with torch.no_grad():
        return generator(torch.randn(300, 2, generator=torch.Generator().manual_seed(0))), lines


def digits() -> Tensor:
    """Images of a generator (n, 8, 8)."""
    with tempfile.TemporaryDirectory() as folder:
        spec = "wgan_gradient_penalty(latent=32, lr=1e-3, critic='mlp(64, 256, 256, 1)')"
        options = {"folder": folder, "epochs": 150, "batch_size": 64, "validation": 0.0}
        model = "mlp_generator(32, 256, 256)"
        generator = inradius.train(spec, model, "digits(split='train')", **options)  # type: ignore[arg-type]
    with torch.no_grad():
        return generator(torch.randn(DIGITS, 32, generator=torch.Generator().manual_seed(0)))[:, 0]


def dots(points: Tensor, left: float, radius: float, style: str) -> str:
    """Points of the plane as circles, those within the window."""
    inside = points[points.abs().amax(1) < PLANE]
    at = SIDE * (inside / PLANE + 1) / 2
    circles = "".join(
        f'<circle cx="{left + a:.1f}" cy="{SCATTER[0] + SIDE - b:.1f}" r="{radius}"/>' for a, b in at.tolist()
    )
    return f"<g {style}>{circles}</g>"


def curve(lines: list[Line], name: str, left: float, style: str) -> str:
    """A number over the epochs, cut off at the highest."""
    top, height = CURVES
    across = [left + SIDE * (line["epoch"] - 1) / (EPOCHS - 1) for line in lines]
    up = [top + height * (1 - min(HIGHEST, max(0.0, line[name])) / HIGHEST) for line in lines]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up, strict=True))
    return f'<path d="{path}" fill="none" {style}/>'


def column(name: str, left: float, real: Tensor, made: Tensor, lines: list[Line]) -> str:
    """One constraint: its samples, and its run."""
    top, height = CURVES
    best = min(line["w1"] for line in lines)
    return "\n".join(
        [
            f'<text x="{left}" y="22" font-weight="600">{name}</text>',
            f'<text x="{left + SIDE}" y="{top - 10}" class="quiet" text-anchor="end">W₁ {lines[0]["w1"]:.2f} to {best:.2f}</text>',
            dots(made, left, 1.8, 'fill="var(--set)" fill-opacity="0.6"'),
            dots(real, left, 1.2, 'fill="var(--ink)"'),
            f'<path d="M{left} {top}V{top + height}H{left + SIDE}" fill="none" stroke="var(--mild)" stroke-opacity="0.6"/>',
            curve(lines, "value", left, 'stroke="var(--mild)" stroke-width="1" stroke-dasharray="2 2"'),
            curve(lines, "dual", left, 'stroke="var(--proof)" stroke-width="1.5"'),
            curve(lines, "w1", left, 'stroke="var(--hit)" stroke-width="2"'),
            f'<text x="{left + SIDE}" y="{top + height + 16}" class="quiet" text-anchor="end">{EPOCHS} epochs</text>',
        ]
    )


def legend() -> str:
    entries = [
        ("var(--hit)", "W₁, exact"),
        ("var(--proof)", "proved by the critic"),
        ("var(--mild)", "the critic's own value"),
    ]
    y = CURVES[0] + CURVES[1] + 36
    return "".join(
        f'<text x="{COLUMNS[0] + offset}" y="{y}" style="fill: {colour}">{words}</text>'
        for (colour, words), offset in zip(entries, (0.0, 80.0, 220.0), strict=True)
    )


def pictures(images: Tensor) -> str:
    """Pixels as squares, those of one of eight shades in one path."""
    shades = (images * 8).round().int()
    found = []
    for shade in range(1, 9):
        places = (shades == shade).nonzero().tolist()
        squares = "".join(
            f"M{COLUMNS[0] + 66 * n + PIXEL * b:.0f} {DIGIT_TOP + PIXEL * a:.0f}h{PIXEL:.0f}v{PIXEL:.0f}h-{PIXEL:.0f}z"
            for n, a, b in places
        )
        found.append(f'<path d="{squares}" fill="var(--ink)" fill-opacity="{shade / 8}"/>')
    return "\n".join(found)


def draw() -> str:
    """The picture."""
    real = inradius.make("eight_gaussians(n=300, seed=1)", Dataset).inputs
    panels = [
        column(name, left, real, *trained(spec)) for (name, spec), left in zip(METHODS.items(), COLUMNS, strict=True)
    ]
    return Template(FRAME.read_text()).substitute(
        panels="\n".join([*panels, legend()]),
        digits=pictures(digits()),
        digits_title=f"{DIGIT_TOP - 14:.0f}",
        height=f"{DIGIT_TOP + 8 * PIXEL + 12:.0f}",
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(draw())
