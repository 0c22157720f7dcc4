"""Splits of data that have no split of their own: a fixed permutation, cut in two."""

import torch

from inradius import Dataset, InputError


def check(split: str, allowed: tuple[str, ...]) -> None:
    """Raises ``InputError`` where the split is not one of ``allowed``."""
    if split not in allowed:
        raise InputError(f"split={split!r} is not a split; allowed are {', '.join(map(repr, allowed))}")


def permuted(data: Dataset, split: str, training: int) -> Dataset:
    """The part of the data that ``split`` names; examples keep their number in the whole.

    With p a permutation from seed 0, "train" is p[:training], "held_out" is p[training:], and "all" keeps the order.
    """
    check(split, ("held_out", "train", "all"))
    if split == "all":
        return data
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data.select(order[:training] if split == "train" else order[training:])
