"""Laws of transforms, one function each; ``LAWS`` lists them all."""

import attrs
import hypothesis.strategies as st
import torch
from torch import Tensor

from inradius.data.dataset import Dataset
from inradius.rng import ExampleRNG
from inradius.sets.arithmetic.sides import Box, beside, clipped, listed
from inradius.testing.components import spec_round_trip
from inradius.testing.strategies import Shape, inputs
from inradius.training.slots import Transform

_CLASSES = 4


@attrs.frozen(eq=False)
class Change:
    """A case for the laws of transforms: a batch, whose labels may already be mixed, and a seed."""

    batch: Dataset
    seed: int

    def apply(self, transform: Transform, rows: Tensor | None = None) -> Dataset:
        """The transform's answer for the batch, or for a batch of the examples ``rows`` alone."""
        batch = self.batch if rows is None else self.batch.select(rows)
        return transform(batch, ExampleRNG(self.seed, batch.index), _CLASSES)


def changes(
    shape: Shape, *, bounds: Box = (0.0, 1.0), images: st.SearchStrategy[Tensor] | None = None
) -> st.SearchStrategy[Change]:
    """Five examples of four classes."""

    def build(x: Tensor, seed: int, mixed: bool) -> Change:
        numbers = torch.arange(len(x))
        targets = ExampleRNG(seed, numbers).uniform((_CLASSES,)).softmax(1).to(x.dtype) if mixed else None
        batch = attrs.evolve(
            Dataset.of(x, numbers % _CLASSES, bounds=bounds, name="a batch"),
            index=7 + 3 * numbers,
            targets=targets,
            source=numbers % 2,
        )
        return Change(batch, seed)

    drawn = images if images is not None else inputs(shape, bounds, batch=5)
    return st.builds(build, drawn, st.integers(0, 2**31), st.booleans())


def inputs_stay_valid(transform: Transform, change: Change) -> None:
    """Inputs keep their shape and type, are finite, and lie within the bounds, which do not change."""
    before, after = change.batch, change.apply(transform)
    assert listed(after.bounds) == listed(before.bounds), f"the bounds {before.bounds} became {after.bounds}"
    assert after.inputs.shape == before.inputs.shape, f"inputs have shape {tuple(after.inputs.shape)}"
    assert after.inputs.dtype == before.inputs.dtype, f"inputs have type {after.inputs.dtype}"
    assert bool(after.inputs.isfinite().all()), "an input is NaN or infinite"
    box = beside(after.bounds, after.inputs)
    if box is not None:
        within = clipped(after.inputs, least=box[0], most=box[1])
        assert torch.equal(within, after.inputs), "an input is out of bounds"


def examples_keep_their_numbers(transform: Transform, change: Change) -> None:
    """Numbers, order and sources of the examples do not change."""
    before, after = change.batch, change.apply(transform)
    assert torch.equal(after.index, before.index), f"the numbers {before.index} became {after.index}"
    assert after.source is not None, "the sources are lost"
    assert after.source.equal(before.source), f"the sources {before.source} became {after.source}"  # type: ignore[arg-type]
    assert len(after.labels) == len(before.labels), f"{len(before)} examples became {len(after)}"


def targets_are_distributions(transform: Transform, change: Change) -> None:
    """Targets are ≥ 0 and sum to 1 for each example.

    A batch that has targets still has targets afterwards; their values may change.
    """
    targets = change.apply(transform).targets
    assert targets is not None or change.batch.targets is None, "the targets are lost"
    if targets is not None:
        assert targets.shape == (len(change.batch), _CLASSES), f"targets have shape {tuple(targets.shape)}"
        assert bool((targets >= 0).all()), "a target is negative"
        torch.testing.assert_close(targets.sum(1), torch.ones(len(targets), dtype=targets.dtype))


def equal_streams_give_equal_batches(transform: Transform, change: Change) -> None:
    """The same batch with the same streams gives the same result."""
    once, again = change.apply(transform), change.apply(transform)
    assert _equal(once, again), "two equal calls give different batches"


def the_given_batch_is_left_alone(transform: Transform, change: Change) -> None:
    """No tensor of the given batch is written to."""
    kept = attrs.evolve(
        change.batch,
        inputs=change.batch.inputs.clone(),
        labels=change.batch.labels.clone(),
        targets=None if change.batch.targets is None else change.batch.targets.clone(),
    )
    change.apply(transform)
    assert _equal(change.batch, kept), "the given batch was changed in place"


def batch_mates_change_nothing(transform: Transform, change: Change) -> None:
    """An example becomes the same in every batch; this law does not apply to transforms that mix examples."""
    whole = change.apply(transform)
    for row in range(len(change.batch)):
        only = torch.tensor([row])
        assert _equal(change.apply(transform, only), whole.select(only)), f"alone, example {row} becomes another"


def _equal(one: Dataset, other: Dataset) -> bool:
    names = ("inputs", "labels", "index", "targets", "source")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


LAWS = (
    spec_round_trip,
    inputs_stay_valid,
    examples_keep_their_numbers,
    targets_are_distributions,
    equal_streams_give_equal_batches,
    the_given_batch_is_left_alone,
    batch_mates_change_nothing,
)
