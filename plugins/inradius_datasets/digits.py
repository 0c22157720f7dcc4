"""1797 digits of 8 by 8 pixels from the package scikit-learn."""

import torch

from inradius import Dataset
from inradius_datasets import packages, splits

TRAINING = 1437  # four fifths


def digits(split: str = "held_out") -> Dataset:
    """1797 digits of 8 by 8 pixels, (N, 1, 8, 8) in [0, 1].

    split: "held_out" (360 images), "train" (the other 1437) or "all"; a fixed permutation separates them.
    Raises ``UnsupportedError`` where scikit-learn is not installed.
    """
    splits.check(split, ("held_out", "train", "all"))
    found = packages.load("sklearn.datasets", "digits", "scikit-learn").load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    name = f"digits(split={split!r})"
    return splits.permuted(Dataset.of(images, torch.tensor(found.target), name=name), split, TRAINING)
