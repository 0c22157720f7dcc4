"""The builder of a computation's nodes. Every rewriting of an operator ends in one of its few steps."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy
import torch
from torch import Tensor, nn

from inradius import LayerRule, Operator, UnsupportedError
from inradius_bounds.lowering.constants import ConstantStore, ConstantTensor
from inradius_bounds.lowering.node import Node, stored
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.join import Added, Gathered, Join
from inradius_bounds.steps.move import Lattice, Move, MoveRule, ReshapeRule
from inradius_bounds.steps.product import LinearStep, Product, ProductRule
from inradius_bounds.steps.scale import Intermediates, Scale, ScaleRule
from inradius_bounds.steps.softmax import Softmax
from inradius_bounds.steps.sums import Sum, SumRule
from inradius_bounds.steps.window_maximum import WindowMaximum

Part = Node | ConstantTensor | float


@attrs.define(eq=False)
class Builder:
    """Makes nodes for the operator that is being rewritten. ``where`` is its place, and ``constants`` stores its constants."""

    rules: Mapping[type[nn.Module], LayerRule]
    constants: ConstantStore
    device: torch.device
    where: str = "the model"
    # true where the operator's execution rounds as its steps do, or less
    executed: bool = False
    # true where products of two varying values are one node; else they are made of squares
    products: bool = False
    # true once a product was made of squares
    squared: bool = False
    # true where maxima over windows are one node; else they are made by pairs
    maxima: bool = False
    # true once maxima that may be one node were made by pairs
    paired: bool = False

    def step(self, source: Node, module: Any, rule: LayerRule, shape: torch.Size) -> Node:
        """The result of a step or of a layer."""
        operator = Operator(self.where, module, rule, source.stored, stored(shape))
        return Node(shape, (source.root,), operator, where=self.where, executed=self.executed)

    def join(self, join: Join, sources: tuple[Node, ...], shape: torch.Size) -> Node:
        """The result of a join of several values."""
        sources = tuple(source.root for source in sources)
        return Node(shape, sources, join=join, where=self.where, executed=self.executed)

    def bilinear(self, first: Node, second: Node, *, matrices: bool = False) -> Node:
        """The product of two values that vary, of shapes that broadcast."""
        if matrices:
            stack = _broadcast(first.shape[:-2], second.shape[:-2])
            shapes = [torch.Size([*stack, *each.shape[-2:]]) for each in (first, second)]
            full = torch.Size([*stack, first.shape[-2], second.shape[-1]])
        else:
            full = _broadcast(first.shape, second.shape)
            shapes = [full, full]
        factors = [self.expanded(each, shape) for each, shape in zip((first, second), shapes, strict=True)]
        product = Bilinear(shapes[0], shapes[1], full, stored(full), matrices)
        sources = tuple(each.root for each in factors)
        return Node(full, sources, product=product, where=self.where, executed=self.executed)

    def softmax(self, source: Node, axis: int, shown: Tensor | None) -> Node:
        """The softmax of a value along an axis; shown (*shape): false where a number is −inf, None for nowhere."""
        found = Softmax(source.shape, axis, stored(source.shape), shown)
        return Node(source.shape, (source.root,), product=found, where=self.where, executed=self.executed)

    def window_maximum(self, source: Node, size: tuple[int, int]) -> Node:
        """The largest number of each window of images (1, C, H, W), which the windows cover without gaps."""
        shape = torch.Size([*source.shape[:2], source.shape[2] // size[0], source.shape[3] // size[1]])
        found = WindowMaximum(size, source.stored, stored(shape))
        return Node(shape, (source.root,), product=found, where=self.where, executed=self.executed)

    def curve(self, source: Node, layer: nn.Module) -> Node:
        """The result of an elementwise layer that has a rule."""
        rule = next(self.rules[kind] for kind in type(layer).__mro__ if kind in self.rules)
        rule.check(layer)
        return self.step(source, layer, rule, source.shape)

    def constant(self, part: Any) -> ConstantTensor:
        """A constant, also from a plain number."""
        if isinstance(part, ConstantTensor):
            return part
        device = self.device
        return ConstantTensor(self.constants, lambda store: torch.as_tensor(part, dtype=store.dtype, device=device))

    # steps that move numbers

    def reshape(self, source: Node, shape: torch.Size) -> Node:
        """The same numbers in another shape."""
        if stored(shape) == source.stored:
            return source if shape == source.shape else Node(shape, where=self.where, same=source.root)
        return self.step(source, Move(None, source.stored, stored(shape)), ReshapeRule(), shape)

    def move(self, source: Node, move: Callable[[Tensor], Tensor]) -> Node:
        """The result of a function of torch that moves numbers. The function is run on the numbers' places."""
        numbers = self._places(source.shape)
        places = self._checked(move(numbers), move(numbers + 1))
        return self._moved(source, places)

    def _checked(self, places: Tensor, shifted: Tensor) -> Tensor:
        """The places as whole numbers. Raises ``UnsupportedError`` where an operator does more than move numbers."""
        if places.shape != shifted.shape or not torch.equal(places + 1, shifted):
            raise self.refuse("an operator in a way that does more than move numbers, which no layer rule covers")
        return places.to(torch.int64)

    def fixed(self, part: Any) -> Any:
        """The numbers of a constant from which steps are built; anything else unchanged."""
        return self.constants.fixed(part) if isinstance(part, ConstantTensor) else part

    def _moved(self, source: Node, places: Tensor) -> Node:
        index, size = places.flatten(), source.shape.numel()
        if len(index) == size and bool((index == torch.arange(size, device=index.device)).all()):
            return self.reshape(source, places.shape)
        lattice = Lattice.of(index, source.stored, stored(places.shape))
        found = Move(index, source.stored, stored(places.shape), lattice)
        return self.step(source, found, MoveRule(), places.shape)

    def gather(self, parts: list[Node | ConstantTensor], move: Callable[..., Tensor]) -> Node:
        """The result of a function that moves the numbers of several values and constants."""
        nodes = [part for part in parts if isinstance(part, Node)]
        fixed = [part for part in parts if isinstance(part, ConstantTensor)]
        first = 0
        starts: dict[int, int] = {}
        ordered: list[Node | ConstantTensor] = [*nodes, *fixed]
        for part in ordered:
            starts[id(part)] = first
            first += _shape(part).numel()
        numbers = [self._places(_shape(part)) + starts[id(part)] for part in parts]
        places = self._checked(move(*numbers), move(*(places + 1 for places in numbers)))
        used = int(places.max()) if places.numel() else 0
        if len(nodes) == 1 and used < nodes[0].shape.numel():
            return self._moved(nodes[0], places)
        behind = self.constants.made(_joined, *fixed) if fixed else None
        shapes, least = tuple(node.stored for node in nodes), torch.finfo(self.constants.native).smallest_normal
        join = Gathered(shapes, behind, places.flatten(), stored(places.shape), least)
        return self.join(join, tuple(nodes), places.shape)

    def expanded(self, source: Node, shape: torch.Size) -> Node:
        """The value broadcast to a shape."""
        return source if source.shape == shape else self.move(source, lambda places: places.expand(shape))

    def _places(self, shape: torch.Size) -> Tensor:
        # some functions that move numbers accept floating-point images alone
        return torch.arange(shape.numel(), dtype=torch.float64, device=self.device).view(shape)

    # steps that add and scale

    def add(self, first: Part, second: Part, factor: float = 1.0) -> Node:
        """first + factor · second, broadcast."""
        if isinstance(first, Node) and isinstance(second, Node):
            shape = _broadcast(first.shape, second.shape)
            if first.root is second.root and first.shape == second.shape:
                found = self.scale(first, 1.0 + factor)
                # a run rounds both terms, which may be much larger than their sum
                return found if abs(factor) == 1 else attrs.evolve(found, executed=False)
            sources = self.expanded(first, shape), self.expanded(second, shape)
            return self.join(Added((1.0, float(factor))), sources, shape)
        if isinstance(first, Node):
            shift = self.constant(second)
            return self._affine(first, None, shift if factor == 1 else shift.then(lambda value: value * factor))
        assert isinstance(second, Node)
        return self._affine(self.scale(second, factor), None, self.constant(first))

    def subtract(self, first: Part, second: Part, factor: float = 1.0) -> Node:
        """first − factor · second, broadcast."""
        return self.add(first, second, -factor)

    def scale(self, source: Node, factor: ConstantTensor | float, inside: Intermediates | None = None) -> Node:
        """The value times a constant, broadcast. ``inside`` describes the intermediate numbers of an execution."""
        if isinstance(factor, int | float) and factor == 1:
            return source
        return self._affine(source, self.constant(factor), None, inside=inside)

    def affine(
        self,
        source: Node,
        factor: ConstantTensor,
        shift: ConstantTensor,
        size: ConstantTensor | None = None,
        inside: Intermediates | None = None,
    ) -> Node:
        """factor · value + shift. ``size`` bounds the sizes of the numbers that an execution adds up to make the shift."""
        return self._affine(source, factor, shift, size, inside)

    def _affine(
        self,
        source: Node,
        factor: ConstantTensor | None,
        shift: ConstantTensor | None,
        size: ConstantTensor | None = None,
        inside: Intermediates | None = None,
    ) -> Node:
        shapes = [part.value.shape for part in (factor, shift) if part is not None]
        shape = _broadcast(source.shape, *shapes)
        source = self.expanded(source, shape)
        dtype = self.constants.dtype
        align = _aligned(shape, dtype)
        factor, shift, size = (None if part is None else part.then(align) for part in (factor, shift, size))
        if inside is not None:
            middle = None if inside.middle is None else inside.middle.then(align)
            inside = Intermediates(inside.peak.then(align), middle)
        return self.step(source, Scale(factor, shift, size, inside), ScaleRule(), shape)

    def sum(self, source: Node, axes: tuple[int, ...], keepdim: bool, factor: float = 1.0) -> Node:
        """factor times the sum over some axes, or over all axes where none is named."""
        count = len(source.shape)
        axes = tuple(sorted(axis % max(1, count) for axis in axes)) if axes else tuple(range(count))
        kept = [1 if axis in axes else length for axis, length in enumerate(source.shape)]
        shape = torch.Size(kept if keepdim else [kept[axis] for axis in range(count) if axis not in axes])
        if all(source.shape[axis] == 1 for axis in axes) and count:
            return self.scale(self.reshape(source, shape), factor)
        return self.step(source, Sum(source.shape, axes, factor, stored(shape)), SumRule(), shape)

    # steps that multiply by constants

    def linear(self, source: Node, weight: ConstantTensor, bias: ConstantTensor | None) -> Node:
        """W z + b over the last axis, with weight (out, in)."""
        shape = torch.Size([*source.shape[:-1], weight.value.shape[0]])
        rule = self.rules[nn.Linear]
        if len(source.shape) == 1:
            # a vector without an axis of examples
            return self.reshape(self.linear(self.reshape(source, torch.Size([1, *source.shape])), weight, bias), shape)
        return self.step(source, LinearStep(weight, bias), rule, shape)

    def product(self, source: Node, matrix: ConstantTensor, *, left: bool = False) -> Node:
        """value · M, or M · value where ``left``, for stacks of matrices."""
        size, other = source.shape, matrix.value.shape
        stack = _broadcast(size[:-2], other[:-2])
        source = self.expanded(source, torch.Size([*stack, *size[-2:]]))
        shape = torch.Size([*stack, other[-2], size[-1]] if left else [*stack, size[-2], other[-1]])
        return self.step(source, Product(matrix, left, source.shape, stored(shape)), ProductRule(), shape)

    def refuse(self, what: str) -> UnsupportedError:
        """An error that names the place of the operator."""
        return UnsupportedError(f"{self.where} uses {what}")


def _broadcast(*shapes: torch.Size) -> torch.Size:
    # torch's own function imports its reference operators, which takes most of a second
    return torch.Size(numpy.broadcast_shapes(*shapes))


def _shape(part: Node | ConstantTensor) -> torch.Size:
    return part.shape if isinstance(part, Node) else part.value.shape


def _joined(*parts: Tensor) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def _aligned(shape: torch.Size, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A function that makes a constant of ``shape`` broadcast against a batch of the stored shape, in floating point."""

    def align(value: Tensor) -> Tensor:
        value = value if value.is_floating_point() else value.to(dtype)
        full = value.reshape(*(1,) * (len(shape) - value.ndim), *value.shape)
        if len(shape) > 1 and shape[0] == 1:
            return full[0]
        return full if shape else full.reshape(1)

    return align
