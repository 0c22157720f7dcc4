"""Labelled data: images from installed packages, and readers of common file formats."""

from collections.abc import Callable, Mapping
from typing import Any

from inradius import Dataset, hookimpl
from inradius_datasets.cifar10 import cifar10
from inradius_datasets.cifar100 import cifar100
from inradius_datasets.digits import digits
from inradius_datasets.fashion_mnist import fashion_mnist
from inradius_datasets.har import har
from inradius_datasets.hf_data import hf_data
from inradius_datasets.idx import idx
from inradius_datasets.images import images
from inradius_datasets.joined import joined
from inradius_datasets.mnist5k import mnist5k
from inradius_datasets.moons import moons
from inradius_datasets.npz import npz
from inradius_datasets.pseudo_labelled import pseudo_labelled
from inradius_datasets.shapes import shapes
from inradius_datasets.subset import subset
from inradius_datasets.svhn import svhn


@hookimpl
def datasets() -> Mapping[str, Callable[..., Dataset]]:
    loaders: list[Callable[..., Dataset]] = [
        *(mnist5k, digits, moons, shapes),
        *(images, hf_data),
        *(npz, idx, fashion_mnist, cifar10, cifar100, svhn, har),
        *(joined, pseudo_labelled, subset),
    ]
    return {load.__name__: load for load in loaders}


@hookimpl
def law_cases() -> Mapping[str, Mapping[str, Any]]:
    from inradius_datasets.law_cases import dataset_specs

    return {spec: {} for spec in dataset_specs()}
