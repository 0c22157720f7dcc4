"""Images in a folder with a folder for each class."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from inradius import Dataset, InputError, UnsupportedError

_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_MODES = {1: "L", 3: "RGB"}


def images(folder: str, size: int | tuple[int, int] | None = None, channels: int = 3) -> Dataset:
    """The images of a folder with a folder for each class, (N, C, H, W) in [0, 1]; classes are numbered in the order of names,
    without hidden folders.

    size: height and width to which each image is resized (bilinear), or one number for both; None takes images of one size as
    they are. channels: 3 for colours, 1 for grey. Raises ``InputError`` for a folder without classes, a file that is no image,
    and images of several sizes; ``UnsupportedError`` where Pillow is not installed.
    """
    place = Path(folder).expanduser()
    sides = (size, size) if isinstance(size, int) else size
    if sides is not None and not _is_size(sides):
        raise InputError(f"size={size!r} is not allowed; allowed is a number of pixels, or (height, width)")
    if channels not in _MODES:
        raise InputError(f"channels={channels!r} is not allowed; allowed are 1 and 3")
    classes = sorted(each for each in place.iterdir() if _is_class(each)) if place.is_dir() else []
    files = [
        (number, file)
        for number, each in enumerate(classes)
        for file in sorted(each.iterdir())
        if file.suffix.lower() in _ENDS
    ]
    if not files:
        raise InputError(f"{place} has no images; allowed is a folder with a folder of images for each class")
    pixels = [_pixels(file, sides, _MODES[channels]) for _, file in files]
    shapes = sorted({array.shape[:2] for array in pixels})
    if len(shapes) > 1:
        raise InputError(
            f"the images in {place} have sizes {', '.join(map(str, shapes[:3]))}; give size=(height, width) to resize them"
        )
    found = torch.from_numpy(np.stack(pixels)).view(len(files), *shapes[0], channels).permute(0, 3, 1, 2)
    told = f"images({folder!r}, size={size!r}" + ("" if channels == 3 else f", channels={channels}") + ")"
    return Dataset.of(found.float() / 255, torch.tensor([number for number, _ in files]), name=told)


def _is_size(sides: object) -> bool:
    whole = isinstance(sides, tuple | list) and len(sides) == 2
    return whole and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sides)  # type: ignore[attr-defined]


def _is_class(folder: Path) -> bool:
    """True for a folder that is not hidden, as those are that programs leave."""
    return folder.is_dir() and not folder.name.startswith((".", "__"))


def _pixels(file: Path, sides: tuple[int, int] | None, mode: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnsupportedError(
            "images(...) needs the package Pillow, which is not installed; pip install pillow brings it"
        ) from error
    try:
        with Image.open(file) as picture:
            own, found = picture.mode, picture.convert(mode)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{file} is no image that Pillow reads; allowed are {', '.join(_ENDS)}") from error
    if own.startswith(("I", "F")):
        raise InputError(f"{file} has more than 8 bits for a pixel (mode {own}); allowed are images of 8 bits")
    if sides is not None:
        found = found.resize((sides[1], sides[0]), Image.Resampling.BILINEAR)
    return np.array(found)
