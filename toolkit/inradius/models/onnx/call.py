"""A node with what is known of its inputs, from which an operator table makes a function of tensors."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import attrs
import torch
from torch import Tensor

from inradius.models.onnx.node import Node

# tensors (None where an input is left out or was used while loading) to the node's outputs
Apply = Callable[..., Any]
EXAMPLES = 3


@attrs.frozen(eq=False)
class Operand:
    """An input of a node: its shape in the file with one example, and its type.

    ``batch`` is the axis of the examples, None for a constant. In that axis ``major`` parts each hold all examples one after
    another: it is 1 where the axis has nothing but the examples, or their parts behind them. ``constant`` is its value with
    one example, and ``several`` with three, where that is another one.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    batch: int | None = None
    constant: Tensor | None = None
    several: Tensor | None = None
    major: int = 1

    @property
    def rank(self) -> int:
        return len(self.shape)


@attrs.define(eq=False)
class Call:
    """A node and its operands, None where an input is left out. ``outside``: the examples have an axis that the file lacks.

    ``fixed``: the file says that there is one example. ``used`` are the inputs that the function does without, ``added`` the
    weights that it takes behind the inputs, ``learned`` those of them that training may change, ``unlearned`` the inputs
    that it may not. ``anchored``: the function takes the network's input as well, last. ``major``: the parts of the
    examples' axis that the result has, where that is known.
    """

    node: Node
    operands: Sequence[Operand | None]
    outside: bool = False
    fixed: bool = True
    input_dtype: torch.dtype = torch.float32
    used: set[int] = attrs.field(factory=set)
    added: list[Tensor] = attrs.field(factory=list)
    unlearned: set[int] = attrs.field(factory=set)
    learned: set[int] = attrs.field(factory=set)
    anchored: bool = False
    major: int | None = None

    @property
    def opset(self) -> int:
        return self.node.opset

    def attribute(self, name: str, default: Any = None) -> Any:
        return self.node.attributes.get(name, default)

    def refuse(self, reason: str) -> NoReturn:
        self.node.refuse(reason)

    def has(self, index: int) -> bool:
        """True where the node has this input."""
        return index < len(self.operands) and self.operands[index] is not None

    def operand(self, index: int = 0) -> Operand:
        found = self.operands[index] if self.has(index) else None
        return self.refuse(f"lacks its input {index}") if found is None else found

    def static(self, index: int) -> Tensor:
        """The value of an input that must be a constant, and that the function is not given."""
        operand = self.operand(index)
        if operand.constant is None:
            self.refuse(f"has an input {index} that depends on the network's input; allowed is a constant there")
        if operand.several is not None:
            self.refuse(f"has an input {index} that depends on the number of examples; allowed is a constant there")
        self.used.add(index)
        return operand.constant

    def numbers(self, index: int) -> list[Any]:
        """The numbers of a constant input with one axis."""
        if self.operand(index).rank != 1:
            self.refuse(f"has an input {index} of shape {self.operand(index).shape}; allowed is one axis")
        return self.static(index).reshape(-1).tolist()

    def lengths(self, index: int, along: Sequence[int]) -> list[Any]:
        """The numbers of a constant input, one for each axis of ``along``; that of the examples may grow with their number."""
        operand, x = self.operand(index), self.operand(0)
        if operand.several is None or operand.constant is None:
            return self.numbers(index)
        self.used.add(index)
        one, several = operand.constant.reshape(-1).tolist(), operand.several.reshape(-1).tolist()
        for n, m, axis in zip(one, several, along, strict=True):
            own = not self.outside and x.batch is not None and axis == x.batch - x.rank
            if m != (n * EXAMPLES if own else n):
                self.refuse(f"has an input {index} that depends on the number of examples; allowed is a constant there")
        return one

    def number(self, index: int, default: Any = None) -> Any:
        """The number of a constant input with one number; the default where there is no such input."""
        if not self.has(index):
            return default
        if self.operand(index).shape not in ((), (1,)):
            self.refuse(f"has an input {index} of shape {self.operand(index).shape}; allowed is one number")
        return self.static(index).item()

    def ints(self, name: str, index: int, default: Any = None) -> Any:
        """A list of numbers that older operator sets have as an attribute and newer ones as an input."""
        if name in self.node.attributes:
            return self.attribute(name)
        return self.numbers(index) if self.has(index) else default

    def axis(self, axis: int, rank: int | None = None) -> int:
        """The axis counted from the end, so that an axis of examples in front changes nothing."""
        rank = self.operand(0).rank if rank is None else rank
        if not -rank <= axis < rank:
            self.refuse(f"has the axis {axis} where there are {rank} axes")
        return axis - rank if axis >= 0 else axis

    def axes(self, axes: Sequence[int], rank: int | None = None) -> list[int]:
        found = [self.axis(axis, rank) for axis in axes]
        if len(set(found)) != len(found):
            self.refuse(f"has an axis twice among {list(axes)}")
        return found

    def batch_first(self, index: int = 0) -> None:
        """Refuses an input whose first axis is not that of the examples."""
        operand = self.operand(index)
        if operand.batch not in (0, None) or operand.rank < 2:
            self.refuse("works on images whose first axis is not that of the examples")

    def add(self, tensor: Tensor, *, learned: bool = False) -> None:
        """Gives the function one more tensor, which training may change if it is ``learned``."""
        self.added.append(tensor)
        if learned:
            self.learned.add(len(self.added) - 1)

    def choose(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """A text attribute, among those allowed."""
        found = str(self.attribute(name, default))
        if found not in allowed:
            self.refuse(f"has {name} {found!r}; allowed are {', '.join(allowed)}")
        return found
