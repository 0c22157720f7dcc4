"""Random changes of the training images that keep their labels."""

import attrs
import torch

from inradius import validators
from inradius._component import Component
from inradius._spec import parse
from inradius.data import Dataset
from inradius.errors import InputError, SpecError
from inradius.streams import Streams


@attrs.frozen(kw_only=True)
class Shift(Component):
    """Each image moved by up to ``pixels`` in both directions, the border filled with the lowest valid value."""

    positional = ("pixels",)

    pixels: int = attrs.field(default=2, validator=validators.count)

    def __call__(self, batch: Dataset, rng: Streams) -> Dataset:
        """The batch with moved images; ``rng`` has a stream for each example."""
        x, reach = batch.inputs, self.pixels
        if x.ndim != 4:
            raise InputError(f"{self} moves images (B, C, H, W), but the inputs have shape {tuple(x.shape)}")
        fill = batch.bounds[0] if batch.bounds else 0.0
        padded = torch.nn.functional.pad(x, (reach,) * 4, value=fill)
        corner = rng.integers(0, 2 * reach + 1, (2,))
        rows = corner[:, :1] + torch.arange(x.shape[2], device=x.device)
        columns = corner[:, 1:] + torch.arange(x.shape[3], device=x.device)
        example = torch.arange(len(x), device=x.device)[:, None, None, None]
        channel = torch.arange(x.shape[1], device=x.device)[:, None, None]
        return attrs.evolve(batch, inputs=padded[example, channel, rows[:, None, :, None], columns[:, None, None, :]])


def as_augment(given: Shift | str | None) -> Shift | None:
    """The augmentation that ``given`` spells; raises ``SpecError`` for any but ``shift(pixels=...)`` and None."""
    if given is None or isinstance(given, Shift):
        return given
    call = parse(given)
    values = dict(zip(("pixels",), call.args, strict=False)) | dict(call.kwargs)
    if call.name != "shift" or len(call.args) > 1 or values.keys() - {"pixels"}:
        raise SpecError(f"augment={given!r} is not an augmentation; allowed are 'shift(pixels=...)' and None")
    return Shift(**values)  # type: ignore[arg-type]  # the validator answers for the type
