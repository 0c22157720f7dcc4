"""Image classifiers of the library transformers, on pixels in [0, 1]."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from inradius import InputError, Normalize

Size = tuple[int, int] | None


class ImageClassifier(nn.Module):
    """A classifier behind its processor's normalisation; ``input_shape`` is that of one image, where the files tell it."""

    def __init__(self, model: nn.Module, normalize: Normalize, size: Size) -> None:
        super().__init__()
        self.normalize = normalize
        self.model = model
        config: Any = model.config
        channels = getattr(config, "num_channels", None) or max(1, normalize.mean.numel())
        self.input_shape = None if size is None else (int(channels), *size)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of images (B, C, H, W) with pixels in [0, 1]."""
        if self.input_shape is not None and tuple(x.shape[1:]) != self.input_shape:
            _, height, width = self.input_shape
            raise InputError(
                f"the images have shape {tuple(x.shape[1:])}; the processor of this classifier makes {self.input_shape}, as does "
                f"images('FOLDER', size=({height}, {width}))"
            )
        logits: Tensor = self.model(pixel_values=self.normalize(x)).logits
        return logits


def normalisation(told: Mapping[str, Any], place: Path) -> tuple[Normalize, Size]:
    """The normalisation of pixels in [0, 1] that a processor file states, and the size of images that it makes.

    The processor takes bytes: it multiplies by ``rescale_factor``, and then takes (value − mean) / std.
    """
    factor = float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0
    normalizes = bool(told.get("do_normalize", True))
    mean, std = (told.get("image_mean"), told.get("image_std")) if normalizes else (0.0, 1.0)
    if mean is None or std is None:
        raise InputError(
            f"the processor file in {place} normalises without image_mean and image_std; allowed is one that states both"
        )
    shift = 1.0 if told.get("rescale_offset", False) else 0.0
    means, deviations = (_numbers(value) for value in (mean, std))
    # ((255 x · factor − shift) − mean) / std, as one subtraction and one division
    scale = 255 * factor
    centres, widths = (
        tuple((value + add) / scale for value in side) for side, add in ((means, shift), (deviations, 0.0))
    )
    if len(centres) == len(widths) == 1:
        return Normalize(centres[0], widths[0]), _size(told)
    return Normalize(centres if len(centres) > 1 else centres[0], widths if len(widths) > 1 else widths[0]), _size(told)


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(float(each) for each in value) if isinstance(value, list | tuple) else (float(str(value)),)


def _size(told: Mapping[str, Any]) -> Size:
    """Height and width after the processor's last step; None where it says neither."""
    named = (
        told.get("crop_size")
        if told.get("do_center_crop")
        else told.get("size")
        if told.get("do_resize", True)
        else None
    )
    if isinstance(named, int):
        return (named, named)
    if isinstance(named, dict) and {"height", "width"} <= named.keys():
        return (int(named["height"]), int(named["width"]))
    return None
