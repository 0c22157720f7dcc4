"""Two half moons in the plane, for pictures and short experiments."""

import torch

from inradius import Dataset, InputError
from inradius_datasets import packages


def moons(n: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Points of two interleaved half moons with Gaussian noise, (n, 2) without a box of valid inputs.

    Different seeds give independent samples, for example one for training and one for evaluation.
    Raises ``UnsupportedError`` where scikit-learn is not installed.
    """
    if n < 2 or noise < 0:
        raise InputError(f"n={n} and noise={noise} are not allowed; allowed are n ≥ 2 and noise ≥ 0")
    make_moons = packages.load("sklearn.datasets", "moons", "scikit-learn").make_moons
    points, labels = make_moons(n_samples=n, noise=noise, random_state=seed)
    name = f"moons(n={n}, noise={noise}, seed={seed})"
    return Dataset.of(torch.tensor(points, dtype=torch.float32), torch.tensor(labels), bounds=None, name=name)
