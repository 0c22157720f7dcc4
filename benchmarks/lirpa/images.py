"""The images that both sides get, from the folder that INRADIUS_REFERENCE_DATA names, and their normalisation."""

import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.225, 0.225, 0.225)


@cache
def folder() -> Path:
    found = os.environ.get("INRADIUS_REFERENCE_DATA")
    if not found:
        sys.exit("INRADIUS_REFERENCE_DATA is not set; it names the folder of the reference networks")
    return Path(found)


@cache
def images() -> tuple[Tensor, Tensor]:
    """The 100 first CIFAR-10 test images and their labels."""
    table = torch.as_tensor(np.loadtxt(folder() / "cifar10_test100.csv", delimiter=","))
    return (table[:, 1:].float() / 255).view(-1, 32, 32, 3).permute(0, 3, 1, 2).contiguous(), table[:, 0].long()


def literature() -> tuple[Tensor, Tensor]:
    """The 100 images on which the verification literature reports CNN-A."""
    found = np.load(folder() / "cifar10_sdp100.npz")
    return torch.as_tensor(found["images"]).float() / 255, torch.as_tensor(found["labels"]).long()


def normalized(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return (x - mean) / std
