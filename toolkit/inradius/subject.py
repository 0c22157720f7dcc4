"""The model as an attack sees it: logits that are checked and counted."""

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from inradius.errors import InputError, InradiusError
from inradius.modes import at_least


class Subject:
    """A classifier under attack. Calling it gives finite logits (n, C) and counts the images for their examples.

    ``take`` gives the same classifier for a part of the batch. A call on a multiple of the batch counts once for each copy.
    ``targets`` (n, C) are distributions that the objective compares the predictions with in place of the labels, or None.
    """

    targets: Tensor | None

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        y: Tensor,
        goal: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> None:
        self._model = model
        # read once: each reading makes the host wait for the device
        self._label, self._goal = _largest(y), _largest(goal)
        self.targets = targets
        self._rows = torch.arange(len(y), device=y.device)
        self.queries = torch.zeros(len(y), dtype=torch.int64, device=y.device)

    def __call__(self, x: Tensor) -> Tensor:
        logits = asked(self._model, x)
        check_logits(logits, len(x))
        logits = at_least(logits, x.dtype)
        for name, largest in (("label", self._label), ("goal", self._goal)):
            if largest >= logits.shape[1]:
                raise InputError(
                    f"{name} {largest} is out of range; the model has the classes 0 to {logits.shape[1] - 1}"
                )
        if self.targets is not None and self.targets.shape[1] != logits.shape[1]:
            raise InputError(
                f"targets are distributions over {self.targets.shape[1]} classes; the model has {logits.shape[1]}"
            )
        copies, rest = divmod(len(x), max(1, len(self._rows)))
        if rest:
            raise InputError(
                f"the model was called on {len(x)} images for {len(self._rows)} examples; "
                "an attack that goes on with a part of the batch must take that part of the model: model.take(mask)"
            )
        # added one by one, since a part may hold an example twice
        self.queries.index_add_(0, self._rows, torch.full_like(self._rows, copies))
        return logits

    def take(self, mask: Tensor) -> Self:
        """The classifier for the examples in ``mask`` (boolean, or indices); its queries count for the whole."""
        part = object.__new__(type(self))
        part._model, part.queries, part._rows = self._model, self.queries, self._rows[mask]
        part._label, part._goal = self._label, self._goal
        part.targets = None if self.targets is None else self.targets[mask]
        return part


def _largest(labels: Tensor | None) -> int:
    return int(labels.max()) if labels is not None and len(labels) else 0


def asked(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The model's outputs; raises ``InputError``, which says why, where it fails on the inputs."""
    try:
        # a copy, as the model may write on it
        return model(x.clone())
    except (InradiusError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:  # a stranger's network may raise anything; the sentence says on what
        check_type(model, x)
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise InputError(
            f"the model cannot take {len(x)} inputs of shape {tuple(x.shape[1:])} and type {x.dtype} ({type(error).__name__}: "
            f"{reason}); allowed are those it was built for"
        ) from error


def check_type(model: object, x: Tensor) -> None:
    """Raises ``InputError`` where a module has floating-point parameters, and none of the inputs' type."""
    if not isinstance(model, nn.Module):
        return
    types = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    if types and x.dtype not in types:
        listed = " and ".join(sorted(map(str, types)))
        raise InputError(
            f"the inputs are {x.dtype} and the model is {listed}; give both in one type, as in model.to({x.dtype})"
        )


def check_logits(logits: object, count: int, least: int = 2) -> None:
    """Raises ``InputError`` where a model's output is not finite numbers of shape (count, C) with C ≥ ``least``."""
    whole = isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == count and logits.shape[1] >= least
    if not isinstance(logits, Tensor) or not whole or not logits.is_floating_point():
        kind = "" if not isinstance(logits, Tensor) or logits.is_floating_point() else f"{logits.dtype} of shape "
        given = f"{kind}{tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        shape = "logits of shape ({}, classes ≥ 2)" if least > 1 else "outputs of shape ({}, outputs)"
        raise InputError(f"the model returned {given} for {count} images; allowed are {shape.format(count)}")
    # a sum of finite numbers mostly is finite, and no other is; it costs a fraction of looking at each
    if math.isfinite(float(logits.detach().sum())):
        return
    bad = ~torch.isfinite(logits.detach()).all(1)
    if bool(bad.any()):
        raise InputError(
            f"the model's logits for image {int(bad.nonzero()[0])} of the batch are NaN or infinite; they must be finite"
        )


def check_images(x: object) -> None:
    """Raises ``InputError`` where inputs are not a batch of floating-point numbers, (B, *S)."""
    if not isinstance(x, Tensor):
        raise InputError(
            f"the inputs are a {type(x).__name__}; allowed is a floating-point tensor, (examples, *shape of one)"
        )
    if not x.is_floating_point():
        raise InputError(f"the inputs are {x.dtype}; allowed are floating-point images")
    if x.ndim < 2:
        raise InputError(f"the inputs have shape {tuple(x.shape)}; allowed is a batch, (examples, *shape of one)")


def check_labels(x: Tensor, y: Tensor, name: str = "labels") -> Tensor:
    """The labels (or goals, as ``name`` says) as int64, (B,); raises ``InputError`` where inputs and labels do not go together."""
    check_images(x)
    if not isinstance(y, Tensor):
        raise InputError(
            f"the {name} are a {type(y).__name__}; allowed is a tensor of one integer per input, ({len(x)},)"
        )
    if y.shape != x.shape[:1] or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InputError(
            f"the {name} have shape {tuple(y.shape)} and type {y.dtype}; allowed is one integer per input, ({len(x)},)"
        )
    numbers = y.to(torch.int64)
    if len(numbers) and int(numbers.min()) < 0:
        raise InputError(f"{name[:-1]} {int(numbers.min())} is out of range; classes count from 0")
    return numbers
