"""Margins of logits."""

import torch
from torch import Tensor


def class_margin(logits: Tensor, label: Tensor) -> Tensor:
    """The label's logit minus the largest other one, (B, C), (B,) -> (B,); the prediction is right where it is > 0."""
    others = logits.scatter(1, label[:, None], -torch.inf)
    return logits.gather(1, label[:, None]).squeeze(1) - others.amax(1)


def log_odds_against(logits: Tensor, label: Tensor) -> Tensor:
    """log Σ_{j≠label} exp z_j − z_label, the log of (1 − p) / p, (B, C), (B,) -> (B,)."""
    others = logits.scatter(1, label[:, None], -torch.inf)
    return others.logsumexp(1) - logits.gather(1, label[:, None]).squeeze(1)
