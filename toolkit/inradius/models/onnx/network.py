"""A network from an ONNX file: torch operators in the file's order, on weights that are parameters and buffers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn


@attrs.frozen(eq=False)
class Step:
    """One operator: its function, the names of its inputs ("" where one is left out), of its outputs, and of what is done with."""

    apply: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...] = ()


class OnnxNetwork(nn.Module):
    """The network of an ONNX file; it takes inputs (B, *input_shape) and returns outputs (B, *output_shape).

    ``outputs`` is the number of outputs of an example, ``graph`` a hash of the file's operators without its weights, and
    ``input_parts`` are the shapes of the file's inputs, whose numbers follow each other in the row where there are several.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        weights: Mapping[str, Tensor],
        learned: frozenset[str],
        ends: tuple[str, str],
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        dtype: torch.dtype,
        graph: str,
    ) -> None:
        super().__init__()
        self.input_shape, self.output_shape = shapes
        self.input_parts: tuple[tuple[int, ...], ...] = (self.input_shape,)
        self.outputs = int(torch.Size(self.output_shape).numel())
        self.dtype, self.graph = dtype, graph
        self._steps, self._ends = tuple(steps), ends
        self._weights: dict[str, str] = {}
        taken = set(dir(self))
        for name, value in weights.items():
            own = self._weights[name] = _own_name(name, taken)
            if name in learned and value.is_floating_point():
                self.register_parameter(own, nn.Parameter(value))
            else:
                self.register_buffer(own, value)

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Any] = {name: getattr(self, own) for name, own in self._weights.items()}
        values[""], values[self._ends[0]] = None, x
        for step in self._steps:
            found = step.apply(*(values[name] for name in step.inputs))
            values.update(zip(step.outputs, found if isinstance(found, tuple) else (found,), strict=False))
            for name in step.done:
                del values[name]
        output: Tensor = values[self._ends[1]]
        return output

    def extra_repr(self) -> str:
        return f"{self.input_shape} -> {self.output_shape}, graph={self.graph}"


def _own_name(name: str, taken: set[str]) -> str:
    """A name that a module may have for the weight, and that is not taken; it is taken then."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    own = f"weight_{plain}" if plain in taken or not plain[:1].isalpha() else plain
    while own in taken:
        own += "_"
    taken.add(own)
    return own


def pruned(steps: list[Step], last: str, kept: frozenset[str]) -> list[Step]:
    """The steps that the output needs, each with the values that nothing needs after it."""
    needed, chosen = {last}, []
    for step in reversed(steps):
        if needed.isdisjoint(step.outputs):
            continue
        done = [name for name in {*step.inputs, *step.outputs} if name and name not in needed and name not in kept]
        needed |= {*step.inputs}
        chosen.append(attrs.evolve(step, done=tuple(sorted(done))))
    return chosen[::-1]
