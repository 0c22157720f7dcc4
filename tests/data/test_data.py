"""Labelled data in memory: examples keep their numbers in every part."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inradius import Dataset, InputError


def data(count=5):
    return Dataset.of(torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count) % 3, name="toy")


def test_examples_are_numbered_from_zero():
    assert data().index.tolist() == [0, 1, 2, 3, 4]
    assert (len(data()), data().classes, data().bounds, data().name) == (5, 3, (0.0, 1.0), "toy")
    assert data().labels.dtype == torch.int64


@given(st.lists(st.integers(0, 6), max_size=7), st.lists(st.booleans(), min_size=7, max_size=7))
def test_a_part_keeps_the_numbers(rows, mask):
    for part in (data(7).select(torch.tensor(rows, dtype=torch.int64)), data(7).select(torch.tensor(mask))):
        assert torch.equal(part.inputs[:, 0].long(), part.index)
        assert torch.equal(part.labels, part.index % 3)
        assert part.name == "toy"


@given(st.integers(0, 9), st.integers(1, 11))
def test_batches_are_the_data_in_order(count, size):
    parts = list(data(count).batches(size))
    assert all(0 < len(part) <= size for part in parts)
    assert [int(i) for part in parts for i in part.index] == list(range(count))


@pytest.mark.parametrize(("count", "left"), [(None, 5), (0, 0), (2, 2), (9, 5)])
def test_take_is_the_first_examples(count, left):
    assert data().take(count).index.tolist() == list(range(left))


def test_moving_to_a_device_and_back_changes_nothing():
    assert torch.equal(data().to("cpu").inputs, data().inputs)
    assert data().to("meta").labels.device.type == "meta"


@pytest.mark.parametrize("labels", [torch.zeros(4), torch.zeros(5, 1), torch.tensor(1)])
def test_labels_that_do_not_go_with_the_inputs_are_refused(labels):
    with pytest.raises(InputError, match=r"toy has 5 inputs and labels of shape .*; allowed is one label per input"):
        Dataset.of(torch.zeros(5, 1), labels, name="toy")


@pytest.mark.parametrize("bad", [0.5, float("nan"), float("inf")])
def test_labels_that_are_not_whole_numbers_are_refused(bad):
    with pytest.raises(InputError, match="toy has labels that are not whole numbers"):
        Dataset.of(torch.zeros(2, 1), torch.tensor([1.0, bad]), name="toy")


def test_whole_numbers_of_any_type_are_labels():
    assert Dataset.of(torch.zeros(2, 1), torch.tensor([1.0, 2.0])).labels.tolist() == [1, 2]
    assert Dataset.of(torch.zeros(2, 1), torch.tensor([1, 2], dtype=torch.uint8)).labels.tolist() == [1, 2]


def test_no_examples_have_no_classes():
    assert data(0).classes == 0
