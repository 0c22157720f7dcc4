"""CIFAR-100 from its standard batches."""

from inradius import Dataset
from inradius_datasets import splits
from inradius_datasets.cifar_batches import Batches

# a binary record has the number of one of 20 groups before that of the class
_FORM = Batches(
    "cifar100", ("", "cifar-100-binary", "cifar-100-python"), key=b"fine_labels", classes=100, bytes=2, place=1
)


def cifar100(folder: str, split: str = "test") -> Dataset:
    """CIFAR-100 images from a folder with its standard batches, (N, 3, 32, 32) in [0, 1], with labels of 100 classes.

    folder: the folder with the batches, binary (``test.bin``) or pickled (``test``), or the folder to which their archive
    unpacks. split: "test" or "train". Pickles are read without running code.
    Raises ``InputError`` for a batch that is missing or damaged.
    """
    splits.check(split, ("test", "train"))
    return _FORM.read(folder, (split,), f"cifar100({folder!r}, split={split!r})")
