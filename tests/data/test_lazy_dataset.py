"""Data that do not fit in memory: read batch by batch, with the results of data that do."""

import attrs
import numpy as np
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, cloud, linear, run
from torch.utils.data import DataLoader, TensorDataset

import inradius
from inradius.data.lazy_dataset import LazyDataset


class Counted:
    """Rows that count how many of them are asked for at once."""

    def __init__(self, rows):
        self.rows, self.most, self.asked = rows, 0, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        found = self.rows[rows]
        self.most, self.asked = max(self.most, len(found)), self.asked + len(found)
        return found


def streamed(source, labels, **options):
    return LazyDataset.of(source, labels, bounds=None, name="cloud", **options)


def test_a_stream_is_bracketed_as_the_data_in_memory(tmp_path):
    data = cloud(400)
    source = Counted(data.inputs.numpy())
    whole = run(tmp_path / "whole", data=data, batch_size=40)
    report = run(tmp_path / "stream", data=streamed(source, data.labels), batch_size=40)
    assert report == whole
    assert source.most <= 40
    assert source.asked > 400
    assert report.deltas.keys() == whole.deltas.keys()
    assert all(torch.equal(report.deltas[row], delta) for row, delta in whole.deltas.items())
    # nothing in memory but the few perturbations that are looked at
    assert not isinstance(report.deltas, dict)
    assert inradius.Report.load(tmp_path / "stream") == whole


def test_perturbations_of_a_large_report_are_read_when_asked_for(tmp_path, monkeypatch):
    report = run(tmp_path)
    monkeypatch.setattr("inradius.bracketing.saved.EAGER", 0)
    again = inradius.Report.load(tmp_path)
    assert not isinstance(again.deltas, dict)
    assert sorted(again.deltas) == sorted(report.deltas)
    assert all(torch.equal(again.deltas[row], delta) for row, delta in report.deltas.items())
    with pytest.raises(KeyError):
        again.deltas[10**6]
    again.save(tmp_path / "copy")
    assert inradius.Report.load(tmp_path / "copy") == report


def test_a_stream_and_the_data_in_memory_share_a_run(tmp_path):
    data = cloud()
    first = run(tmp_path)
    size = (tmp_path / "results.jsonl").stat().st_size
    assert run(tmp_path, data=streamed(data.inputs.numpy(), data.labels)) == first
    assert (tmp_path / "results.jsonl").stat().st_size == size


def test_every_kind_of_source_gives_the_same_examples(tmp_path):
    data = cloud(20)
    np.save(tmp_path / "inputs.npy", data.inputs.numpy())
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    pairs = TensorDataset(data.inputs, data.labels)
    rows = torch.tensor([7, 3, 3, 19])
    streams = [
        LazyDataset.of(mapped, data.labels.numpy()),
        LazyDataset.of(data.inputs, data.labels.tolist()),
        LazyDataset.of(pairs),
        LazyDataset.spooled(DataLoader(pairs, batch_size=6), tmp_path / "spooled.bin"),
    ]
    for stream in streams:
        assert len(stream) == 20
        assert stream.classes == 3
        part = stream.select(rows)
        assert torch.equal(part.inputs, data.inputs[rows])
        assert torch.equal(part.labels, data.labels[rows])
        assert torch.equal(part.index, rows)
        assert [len(batch) for batch in stream.take(14).batches(5)] == [5, 5, 4]
        assert torch.equal(torch.cat([b.inputs for b in stream.batches(6)]), data.inputs)


def test_a_part_of_a_stream_keeps_its_numbers(tmp_path):
    data = cloud()
    part = streamed(data.inputs.numpy(), data.labels).part(torch.arange(40, 80))
    report = run(tmp_path / "part", data=part, audit=0)
    whole = run(tmp_path / "whole", audit=0)
    assert [(e.index, e.status) for e in report.examples] == [(e.index, e.status) for e in whole.examples[40:]]


def test_bytes_are_shares_of_255():
    stream = LazyDataset.of(np.arange(6, dtype=np.uint8).reshape(3, 2) * 51, [0, 1, 0])
    assert torch.equal(stream.select(torch.tensor([1])).inputs, torch.tensor([[102 / 255, 153 / 255]]))


def test_a_class_of_ones_own_is_data_too(tmp_path):
    @attrs.frozen(eq=False)
    class Own:
        labels: torch.Tensor
        index: torch.Tensor
        bounds: None = None
        name: str = "cloud"

        def select(self, rows):
            return inradius.Dataset(cloud().inputs[rows], self.labels[rows], self.index[rows], None, self.name)

    data = cloud()
    assert run(tmp_path / "own", data=Own(data.labels, data.index)) == run(tmp_path / "whole")


def test_a_curve_over_a_stream(tmp_path):
    data = cloud()
    methods = {"attacks": [Corner()], "certifiers": [Exact()], "batch_size": 16}
    stream = streamed(data.inputs.numpy(), data.labels)
    reports = inradius.bracket_curve(linear(), stream, Cube(eps=0.2), [0.5, 1, 2], folder=tmp_path / "s", **methods)
    others = inradius.bracket_curve(linear(), data, Cube(eps=0.2), [0.5, 1, 2], folder=tmp_path / "m", **methods)
    assert reports == others


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda data: LazyDataset.of(iter([1, 2]), [0, 1]), "rows cannot be asked for"),
        (lambda data: LazyDataset.of(data.inputs, [0, 1]), "80 rows and labels of shape"),
        (lambda data: LazyDataset.of(data.inputs, np.full(80, 0.5)), "not whole numbers"),
    ],
)
def test_what_is_no_stream_is_named(make, said):
    with pytest.raises(inradius.InputError, match=said):
        make(cloud())


def test_batches_that_differ_are_named(tmp_path):
    with pytest.raises(inradius.InputError, match="all must be alike"):
        LazyDataset.spooled([(torch.zeros(2, 3), [0, 1]), (torch.zeros(2, 4), [0, 1])], tmp_path / "file")
    with pytest.raises(inradius.InputError, match="no batches"):
        LazyDataset.spooled([], tmp_path / "file")


def test_one_bad_row_far_behind_is_found(tmp_path):
    data = cloud()
    inputs = data.inputs.numpy().copy()
    inputs[70, 2] = np.nan
    with pytest.raises(inradius.InputError, match="cloud, in the rows from 64 on: input 6 has NaN"):
        run(tmp_path, data=streamed(inputs, data.labels))
