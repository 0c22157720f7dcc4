"""A model's outputs, computed and checked."""

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from inradius.errors import InputError, InradiusError
from inradius.models.memory import of_memory
from inradius.models.modes import evaluating
from inradius.models.picked import picked


def asked(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The model's outputs; of several those named ``logits``. Raises ``InputError``, with the reason, where the model fails."""
    return cast("Tensor", picked(answered(model, x)))


def answered(model: Callable[[Tensor], object], x: Tensor) -> object:
    """The model's own return value. Raises ``InputError``, with the reason, where it fails on the inputs."""
    try:
        # a copy, because the model may write to it
        return model(x.clone())
    except InradiusError:
        raise
    except Exception as error:  # a user's network may raise anything; the sentence names the inputs
        if of_memory(error):
            raise
        check_type(model, x)
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise InputError(
            f"the model cannot take {len(x)} inputs of shape {tuple(x.shape[1:])} and type {x.dtype} ({type(error).__name__}: "
            f"{reason}); allowed are those it was built for"
        ) from error


@torch.no_grad()
def takes(model: Callable[[Tensor], object], x: Tensor) -> bool:
    """True where the model gives an answer for the inputs, as one that casts them does for any type."""
    try:
        with evaluating(model):
            model(x.clone())
    except Exception:  # a user's network may raise anything
        return False
    return True


def check_type(model: object, x: Tensor) -> None:
    """Raises ``InputError`` where a module has floating-point parameters, but none of the inputs' type."""
    if not isinstance(model, nn.Module):
        return
    types = set()
    for parameter in model.parameters():
        if parameter.dtype == x.dtype:
            return
        if parameter.is_floating_point():
            types.add(parameter.dtype)
    if types:
        listed = " and ".join(sorted(map(str, types)))
        raise InputError(
            f"the inputs are {x.dtype} and the model is {listed}; give both in one type, as in model.to({x.dtype})"
        )


def _remedy(outputs: object, count: int) -> str:
    """The end of a sentence on outputs that are no logits of classes: what asks about them."""
    if isinstance(outputs, Mapping | tuple | list):
        return "; inradius.Selected(model, NAME) makes a model of one of several outputs"
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point() or outputs.shape[:1] != (count,):
        return ""
    if outputs.ndim <= 2 and outputs.numel() == count:
        return ", and a single logit with outcome='binary' (--outcome binary)"
    return ", and images of them with outcome='segmentation(1)' (--outcome)" if outputs.ndim == 4 else ""


def check_logits(logits: object, count: int, least: int = 2) -> None:
    """Raises ``InputError`` where a model's output is not finite numbers of shape (count, C) with C ≥ ``least``."""
    whole = isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == count and logits.shape[1] >= least
    if not isinstance(logits, Tensor) or not whole or not logits.is_floating_point():
        kind = "" if not isinstance(logits, Tensor) or logits.is_floating_point() else f"{logits.dtype} of shape "
        given = f"{kind}{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        shape = "logits of shape ({}, classes ≥ 2)" if least > 1 else "outputs of shape ({}, outputs)"
        raise InputError(
            f"the model returned {given} for {count} images; allowed are {shape.format(count)}{_remedy(logits, count)}"
        )
    # a finite sum means finite numbers, and it costs a fraction of a test of each number
    if math.isfinite(float(logits.detach().sum())):
        return
    bad = ~torch.isfinite(logits.detach()).all(1)
    if bool(bad.any()):
        raise InputError(
            f"the model's logits for image {int(bad.nonzero()[0])} of the batch are NaN or infinite; they must be finite"
        )
