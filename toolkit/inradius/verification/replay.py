"""The replay of a network's file by ``onnxruntime``, whose numbers decide about a witness."""

import math
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from inradius.errors import InputError


@attrs.frozen(eq=False)
class Replay:
    """A session of ``onnxruntime`` for a file; several inputs are given as one row of numbers, one after the other."""

    session: Any

    @classmethod
    def of(cls, path: Path) -> "Replay | None":
        """A session for the file; None where ``onnxruntime`` is not installed. Raises ``InputError`` where it refuses the file."""
        try:
            import onnxruntime
        except ImportError:
            return None
        options = onnxruntime.SessionOptions()
        # errors come as exceptions; warnings about the file are no answer to anybody's question
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the package has no common parent for its errors
            raise InputError(
                f"onnxruntime refuses {path} ({_first(error)}); allowed are networks that it runs"
            ) from error
        return cls(session)

    def __call__(self, point: Tensor) -> Tensor:
        """The outputs for one input (1, *S) in one row, (1, O)."""
        given = self._given(point.detach().cpu())
        try:
            (outputs, *_) = self.session.run(None, given)
        except Exception as error:  # the package has no common parent for its errors
            raise InputError(
                f"onnxruntime cannot replay the network ({_first(error)}); allowed are networks that it runs"
            ) from error
        return torch.from_numpy(outputs).reshape(1, -1)

    def _given(self, point: Tensor) -> dict[str, Any]:
        """The inputs by their names."""
        inputs = self.session.get_inputs()
        shapes = [[size if isinstance(size, int) else 1 for size in given.shape] for given in inputs]
        if len(inputs) == 1 and math.prod(shapes[0]) != point.numel():
            # a name may also stand for an axis within an example
            shapes = [list(point.shape)]
        parts = torch.split(point.flatten(), [math.prod(shape) for shape in shapes])
        return {
            given.name: part.reshape(shape).numpy() for given, part, shape in zip(inputs, parts, shapes, strict=True)
        }


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
