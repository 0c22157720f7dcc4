"""Labelled data: images that packages ship, and readers of the usual files."""

from collections.abc import Callable, Mapping

from inradius import Dataset, hookimpl
from inradius_datasets.cifar10 import cifar10
from inradius_datasets.digits import digits
from inradius_datasets.idx import idx
from inradius_datasets.mnist5k import mnist5k
from inradius_datasets.moons import moons
from inradius_datasets.npz import npz


@hookimpl
def datasets() -> Mapping[str, Callable[..., Dataset]]:
    return {"mnist5k": mnist5k, "digits": digits, "moons": moons, "npz": npz, "idx": idx, "cifar10": cifar10}
