"""Outcomes: what counts as a broken example. Attacks, the referee and certifiers ask the same one."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, final

import attrs
from torch import Tensor

from inradius.components.component import Component
from inradius.data.checks import check_images
from inradius.errors import InputError, PluginError, UnsupportedError
from inradius.outcomes.property import Property


@attrs.frozen(kw_only=True)
class Outcome(Component, ABC):
    """A question about a model's outputs and an example's label: is the example right, or broken?

    Laws: examples are judged alone; the margin is finite, and so is its gradient; the weakest clause of ``as_property`` is never
    above the margin, so that what a certifier proves no attack breaks.
    """

    # True where the margin changes by at most twice as much as an output does; elsewhere every answer is judged again
    in_output_units: ClassVar[bool] = False

    @abstractmethod
    def margin(self, outputs: Tensor, y: Tensor) -> Tensor:
        """How far each example is from being broken, (n, ...), (n, ...) -> (n,): > 0 where right, < 0 where broken.

        Attacks follow its gradient. At 0 the clean example counts as broken, and a perturbed one as undecided by rounding.
        """

    def guide(self, outputs: Tensor, y: Tensor) -> Tensor:
        """A value whose gradient attacks follow in place of the margin's, (n,); by default the margin."""
        return self.margin(outputs, y)

    def as_property(self, y: Tensor, outputs: Tensor) -> Property:
        """The property that certifiers prove, for outputs of this shape and type, flattened to (n, O).

        It implies that the margin is above 0. Raises ``UnsupportedError`` where no linear rows do.
        """
        raise UnsupportedError(
            f"{self} is no property with linear rows, and no certifier proves it; allowed are attacks alone, as with certifiers=[]"
        )

    def check_labels(self, x: Tensor, y: object) -> Tensor:
        """The labels (B, ...), by default any finite tensor with an entry for each input.

        Raises ``InputError`` where inputs and labels do not go together.
        """
        check_images(x)
        if not isinstance(y, Tensor) or y.ndim < 1 or len(y) != len(x) or y.is_complex():
            given = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise InputError(f"the labels are {given}; allowed is a tensor with one entry for each of {len(x)} inputs")
        if y.is_floating_point() and not bool(y.isfinite().all()):
            raise InputError("the labels have NaN or infinite values; allowed are finite ones")
        return y

    def check_outputs(self, outputs: object, y: Tensor) -> None:
        """Raises ``InputError`` where a model's outputs are not what this outcome judges; by default finite numbers (n, ...)."""
        check_finite(outputs, len(y), "(n, ...)")

    def predicted(self, outputs: Tensor) -> Tensor | None:
        """The predicted classes, (n,), for reports; None where the outputs are no scores of classes."""
        return None

    def size(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The size of the numbers whose rounding moves the margin, (n,): by default that of the largest output."""
        return flat(outputs.abs()).amax(1)

    @final
    def classes(self, y: Tensor) -> list[int | None]:
        """The labels as reports group examples by them: whole numbers, None where they are no class of each example."""
        whole = y.ndim == 1 and not y.is_floating_point()
        return [int(label) for label in y.tolist()] if whole else [None] * len(y)

    @final
    def judged(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The margin, (n,). Raises ``PluginError`` where a class of outcomes gives anything else."""
        margin = self.margin(outputs, y)
        if not isinstance(margin, Tensor) or margin.shape != (len(y),) or not margin.is_floating_point():
            given = (
                f"{margin.dtype} of shape {tuple(margin.shape)}"
                if isinstance(margin, Tensor)
                else type(margin).__name__
            )
            raise PluginError(f"{self} gave the margin {given} for {len(y)} examples; it must be numbers ({len(y)},)")
        return margin

    @final
    def logits(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Two logits whose difference is the margin, (n, 2): right is class 0, broken is class 1.

        Their size is that of the outputs, as far as rounding goes, so that attacks see what rounding decides.
        """
        half = self.judged(outputs, y).to(outputs.dtype) / 2
        if type(self).guide is not Outcome.guide:
            led = self.guide(outputs, y).to(half) / 2
            half = half.detach() + (led - led.detach())
        level = self.size(outputs, y).detach().to(half) if self.in_output_units else half.new_zeros(())
        return (half[:, None] * half.new_tensor([1.0, -1.0])) + level[..., None]


def flat(values: Tensor) -> Tensor:
    """The numbers of each example in a row, (n, ...) -> (n, O)."""
    return values.flatten(1) if values.ndim > 1 else values[:, None]


def check_finite(outputs: object, count: int, shape: str) -> None:
    """Raises ``InputError`` where outputs are not ``count`` rows of finite numbers; ``shape`` says what is allowed."""
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        given = f"{outputs.dtype}" if isinstance(outputs, Tensor) else f"a {type(outputs).__name__}"
        raise InputError(f"the model returned {given} for {count} images; allowed are floating-point outputs {shape}")
    if outputs.ndim < 1 or len(outputs) != count:
        raise InputError(
            f"the model returned outputs of shape {tuple(outputs.shape)} for {count} images; allowed are outputs {shape}"
        )
    # a finite sum means finite numbers
    if not math.isfinite(float(outputs.detach().sum())) and not bool(outputs.isfinite().all()):
        raise InputError("the model's outputs are NaN or infinite for some images; they must be finite")
