"""The cases by which the laws check the outcomes that come with inradius; what is broken is told in other words than theirs."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def outcome_cases() -> Mapping[str, Mapping[str, Any]]:
    """Specs with the shape of the outputs, labels for which they are right, and what counts as broken."""
    return {
        "top1": {"broken": lambda outputs, y: outputs.argmax(1) != y},
        "top_k(k=3)": {"broken": lambda outputs, y: ~(outputs.topk(3).indices == y[:, None]).any(1)},
        "confidence(0.5)": {"broken": _less_sure_than(0.5)},
        "confidence(0.9)": {"outputs": (2,), "broken": _less_sure_than(0.9)},
        "never(2)": {"broken": lambda outputs, y: outputs.argmax(1) == 2},
        "binary": {"outputs": (), "labels": _above(0.0), "broken": _other_side_of(0.0)},
        "binary(threshold=0.5)": {
            "outputs": (1,),
            "labels": lambda outputs: _above(0.5)(outputs).reshape(-1),
            "broken": _other_side_of(0.5),
        },
        "multi_label": {"outputs": (4,), "labels": _above(0.0), "broken": _other_side_of(0.0)},
        "segmentation(0.7)": {"outputs": (3, 2, 2), "broken": _fewer_right_pixels},
        "regression(0.3)": {"outputs": (), "labels": _themselves, "broken": _farther_than(0.3)},
        "regression(tolerance=10)": {"outputs": (3,), "labels": _themselves, "broken": _farther_than(10.0)},
    }


def _less_sure_than(threshold: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, y: outputs.softmax(1)[torch.arange(len(y)), y] <= threshold


def _above(threshold: float) -> Callable[[Tensor], Tensor]:
    return lambda outputs: (outputs > threshold).long()


def _other_side_of(threshold: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, y: ((outputs > threshold) != (y.view(outputs.shape) == 1)).reshape(len(y), -1).any(1)


def _fewer_right_pixels(outputs: Tensor, y: Tensor) -> Tensor:
    return (outputs.argmax(1) == y).double().flatten(1).mean(1) < 0.7


def _themselves(outputs: Tensor) -> Tensor:
    return outputs


def _farther_than(tolerance: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, y: ((outputs - y).abs() >= tolerance).reshape(len(y), -1).any(1)
