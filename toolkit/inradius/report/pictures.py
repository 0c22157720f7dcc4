"""Images on the page, as PNG files in data addresses, without any image library."""

import base64
import struct
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from inradius.bracketing.example import Example
from inradius.bracketing.result import BracketResult
from inradius.report.words import WORDS

SHOWN = 8

# Okabe and Ito's orange and blue, which people who do not see red and green apart can tell
ABOVE = (0.835, 0.369, 0.0)
BELOW = (0.0, 0.447, 0.698)


def is_picture(x: Tensor) -> bool:
    """True for one example (*S) that is an image: (H, W), (1, H, W) or (3, H, W), at least 4 pixels wide and high."""
    channels = x.shape[0] if x.ndim == 3 else 1
    return x.ndim in (2, 3) and channels in (1, 3) and min(x.shape[-2:]) >= 4


def span(*pictures: Tensor) -> tuple[float, float]:
    """The smallest and the largest value, kept apart."""
    low, high = float(min(p.min() for p in pictures)), float(max(p.max() for p in pictures))
    return (low, high) if high > low else (low, low + 1)


def signed(delta: Tensor) -> Tensor:
    """A perturbation (*S) in colours, (3, H, W): of a grey image white at 0, blue below, orange above, else around grey."""
    planes = delta.detach().double().cpu().view(-1, *delta.shape[-2:])
    share = planes / (float(planes.abs().max()) or 1.0)
    if len(planes) > 1:
        return (share + 1) / 2
    above, below = (torch.tensor(side, dtype=torch.float64).view(3, 1, 1) for side in (ABOVE, BELOW))
    return 1 - share.clamp(min=0) * (1 - above) - (-share).clamp(min=0) * (1 - below)


def data_address(x: Tensor, bounds: tuple[float, float]) -> str:
    """An image (*S) with values in ``bounds`` as the address of an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(png(x, bounds)).decode()


def png(x: Tensor, bounds: tuple[float, float]) -> bytes:
    """An image (H, W), (1, H, W) or (3, H, W) with values in ``bounds`` as the content of a PNG file."""
    low, high = bounds
    pixels = ((x.double() - low) / (high - low) * 255).round().clamp(0, 255).to(torch.uint8)
    planes = pixels.view(-1, *x.shape[-2:])
    colours, height, width = planes.shape
    rows = planes.permute(1, 2, 0).reshape(height, width * colours)
    # each row starts with its filter, 0 for none
    raw = torch.cat([torch.zeros(height, 1, dtype=torch.uint8), rows.cpu()], dim=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colours == 3 else 0, 0, 0, 0)
    body = zlib.compress(bytes(raw.flatten().tolist()), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def shown_rows(examples: Sequence[Example]) -> list[int]:
    """The rows of the examples that the page shows: the first attacked ones, then the first undecided ones."""
    broken = [e.row for e in examples if e.status == "attacked" and e.attempt]
    open_ = [e.row for e in examples if e.status in ("undecided", "within_rounding") and e.attempt]
    share = max(SHOWN // 2, SHOWN - len(open_))
    broken = broken[:share]
    return broken + open_[: SHOWN - len(broken)]


def gallery(result: BracketResult) -> str:
    """Image, perturbation and their sum for a few examples, as a section of the page; empty where inputs are no images."""
    by_row = {example.row: example for example in result.examples}
    strips = [
        _strip(by_row[row], x, result.deltas[row], result.setting.bounds)
        for row, x in result.inputs.items()
        if row in result.deltas and is_picture(x)
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
    label = "" if example.label is None else f", class {example.label}"
    text = f"no. {example.index}{label}: {WORDS[example.status]}; margin {margin:.3g}"
    text += f" ≥ {bound:.3g}" if bound is not None else ""
    return f"{text}, largest change {reach:.3g}"
