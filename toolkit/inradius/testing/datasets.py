"""Laws of data sets, one function each; ``LAWS`` lists them all."""

from typing import Any

import attrs
import torch

from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.sets.arithmetic.sides import beside, clipped

# the examples that are looked at
_FEW = 64
_BATCH = 5


@attrs.frozen(eq=False)
class Loaded:
    """A subject of the laws of data sets: the spec, and what it loads."""

    spec: str
    data: Any

    @classmethod
    def of(cls, spec: str) -> "Loaded":
        """The data that the spec names."""
        return cls(spec, make(spec, Dataset))

    def few(self) -> Dataset:
        """The first examples, in memory."""
        found: Dataset = self.data.select(torch.arange(min(_FEW, len(self.data.labels))))
        return found

    def __str__(self) -> str:
        return self.spec


def inputs_are_valid(loaded: Loaded, case: Any = None) -> None:
    """Inputs are finite floating-point numbers within the bounds, at least one."""
    data = loaded.few()
    assert len(data), "there are no examples"
    assert data.inputs.is_floating_point(), f"inputs are {data.inputs.dtype}; they must be floating-point numbers"
    assert bool(data.inputs.isfinite().all()), "an input is NaN or infinite"
    box = beside(data.bounds, data.inputs)
    if box is not None:
        within = clipped(data.inputs, least=box[0], most=box[1])
        assert torch.equal(within, data.inputs), f"an input is out of the bounds {data.bounds}"


def every_example_has_a_label_and_a_number(loaded: Loaded, case: Any = None) -> None:
    """There is one label for each input, classes are counted from 0, and no two examples share a number."""
    data = loaded.few()
    assert len(data.labels) == len(data.inputs), f"{len(data.inputs)} inputs have {len(data.labels)} labels"
    if not data.labels.is_floating_point():
        assert bool((data.labels >= 0).all()), "a class is negative"
    assert len(loaded.data.index.unique()) == len(loaded.data.labels), "two examples have one number"


def equal_specs_load_equal_data(loaded: Loaded, case: Any = None) -> None:
    """The same spec loads the same examples in the same order."""
    one, other = loaded.few(), Loaded.of(loaded.spec).few()
    for name in ("inputs", "labels", "index"):
        assert torch.equal(getattr(one, name), getattr(other, name)), f"loaded again, the {name} are others"


def batches_hold_the_examples_in_order(loaded: Loaded, case: Any = None) -> None:
    """The first batch has the first examples, with their labels and numbers."""
    few, first = loaded.few(), next(iter(loaded.data.batches(_BATCH)))
    for name in ("inputs", "labels", "index"):
        assert torch.equal(getattr(first, name), getattr(few, name)[:_BATCH]), f"a batch has other {name}"


LAWS = (
    inputs_are_valid,
    every_example_has_a_label_and_a_number,
    equal_specs_load_equal_data,
    batches_hold_the_examples_in_order,
)
