"""A data set: labelled examples, loaded or made by a function."""

import torch

from inradius import Dataset, InputError


def acme_name(n: int = 200, seed: int = 0) -> Dataset:
    """Points of the square in two classes, inside and outside of a circle, (n, 2) in [0, 1]."""
    if n < 1:
        raise InputError(f"acme_name: n={n} is not allowed; allowed is a whole number ≥ 1")
    points = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))
    labels = ((points - 0.5).square().sum(1) > 0.15).long()
    return Dataset.of(points, labels, bounds=(0.0, 1.0), name=f"acme_name(n={n}, seed={seed})")
