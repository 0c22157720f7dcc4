"""Losses of training, one number for each example; labels may be distributions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from inradius.data.dataset import Dataset


def cross_entropy(logits: Tensor, batch: Dataset) -> Tensor:
    """The cross-entropy of each example against its label, or its target where labels are mixed, (..., B, C) -> (..., B)."""
    if batch.targets is not None:
        return -(batch.targets * F.log_softmax(logits, dim=-1)).sum(-1)
    labels = batch.labels.expand(logits.shape[:-1])
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def targets_of(batch: Dataset, classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The label of each example as a distribution, (B, C)."""
    if batch.targets is not None:
        return batch.targets.to(dtype)
    return F.one_hot(batch.labels, classes).to(dtype)


def kl_divergence(logits: Tensor, of: Tensor) -> Tensor:
    """KL(p ‖ q) of p = softmax(``of``) from q = softmax(``logits``), (..., C), (..., C) -> (...).

    Both as logarithms: the gradient of a probability that underflows is then 0, and not NaN.
    """
    return F.kl_div(F.log_softmax(logits, -1), F.log_softmax(of, -1), reduction="none", log_target=True).sum(-1)


def squared_distance(logits: Tensor, of: Tensor) -> Tensor:
    """‖softmax(``logits``) − softmax(``of``)‖², (..., C), (..., C) -> (...)."""
    return (logits.softmax(-1) - of.softmax(-1)).square().sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """H(softmax(logits)), (..., C) -> (...)."""
    logs = F.log_softmax(logits, -1)
    return -(logs.exp() * logs).sum(-1)
