"""CIFAR-10 from its standard batches."""

from inradius import Dataset
from inradius_datasets import splits
from inradius_datasets.cifar_batches import Batches

_FORM = Batches("cifar10", ("", "cifar-10-batches-bin", "cifar-10-batches-py"), key=b"labels", classes=10)
_BATCHES = {"test": ("test_batch",), "train": tuple(f"data_batch_{number}" for number in range(1, 6))}


def cifar10(folder: str, split: str = "test") -> Dataset:
    """CIFAR-10 images from a folder with its standard batches, (N, 3, 32, 32) in [0, 1].

    folder: the folder with the batches, binary (``test_batch.bin``) or pickled (``test_batch``), or the folder to which
    their archive unpacks. split: "test" or "train". Pickles are read without running code.
    Raises ``InputError`` for a batch that is missing or damaged.
    """
    splits.check(split, ("test", "train"))
    return _FORM.read(folder, _BATCHES[split], f"cifar10({folder!r}, split={split!r})")
