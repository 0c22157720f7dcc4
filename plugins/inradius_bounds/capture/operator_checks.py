"""The check of each recorded operator against the steps that stand for it, at the numbers of a real run."""

from collections.abc import Mapping

import torch
from torch import Tensor

from inradius import UnsupportedError
from inradius_bounds.capture.affine_checks import through_affine, through_curve
from inradius_bounds.capture.graph import Graph, Value, values_in
from inradius_bounds.lowering.node import Node
from inradius_bounds.steps.bilinear import Bilinear
from inradius_bounds.steps.softmax import Softmax
from inradius_bounds.steps.window_maximum import WindowMaximum

# a run may round an operator in another way than the steps that stand for it, which may be several
_ROOM = 8

Rounded = tuple[Tensor, Tensor]


@torch.no_grad()
def check_operators(graph: Graph, nodes: Mapping[Value, Node], numbers: Mapping[Value, Tensor]) -> None:
    """Raises ``UnsupportedError`` where an operator's results differ from those of its steps for the same arguments.

    The steps run in float64, and may differ by the rounding of that one operator in its own type. No error adds up over the
    depth of a network.
    """
    for call in graph.calls:
        results = [value for value in call.results if value is not None and value in nodes]
        given = [value for value in values_in((call.args, call.kwargs)) if value in nodes]
        dtype = _coarsest([*given, *results])
        known: dict[Node, Rounded] = {}
        for value in given:
            exact = _exact(numbers[value], nodes[value]).masked_fill(_hidden(nodes[value], numbers[value]), 0)
            known[nodes[value].root] = exact, torch.zeros_like(exact)
        for value in results:
            found, error = _evaluated(nodes[value].root, known, dtype)
            expected = _exact(numbers[value], nodes[value])
            hidden = _hidden(nodes[value], numbers[value])
            # the steps' numbers count for nothing where the operator gives −inf
            difference = torch.where(hidden & (expected == -torch.inf), 0, (expected - found).abs())
            if not bool((expected.isfinite() | hidden).all()) and bool(found.isfinite().all()):
                raise UnsupportedError(
                    f"{call.where} uses {call.name}, whose numbers overflow in {value.dtype} at or near the first input; allowed "
                    "are models whose numbers stay within their type"
                )
            # a difference of infinities is NaN, and never larger
            if bool((difference > _ROOM * error).any()):
                raise UnsupportedError(
                    f"{call.where} uses {call.name} ({call.op}), which gives other numbers than the steps that stand for it, by "
                    f"up to {float(difference.nan_to_num(nan=0.0).max()):.3g}; please report this operator"
                )


def _coarsest(values: list[Value]) -> torch.dtype:
    """The shortest floating-point type among values."""
    found = [value.dtype for value in values if value.dtype.is_floating_point]
    return max(found, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float64)


def _exact(numbers: Tensor, node: Node) -> Tensor:
    return numbers.double().reshape(1, *node.stored)


def _hidden(node: Node, numbers: Tensor) -> Tensor:
    """True where the model's number is −inf, (1, *stored)."""
    if node.hidden is None:
        return torch.zeros(1, *node.stored, dtype=torch.bool, device=numbers.device)
    return node.hidden.reshape(1, *node.stored)


def _evaluated(node: Node, known: dict[Node, Rounded], dtype: torch.dtype) -> Rounded:
    """A node's value in float64 and the rounding of a run in ``dtype``, from the known values; it is stored among them."""
    if node not in known:
        before = [_evaluated(source, known, dtype) for source in node.sources]
        known[node] = _made(node, before, dtype)
    return known[node]


def _made(node: Node, before: list[Rounded], dtype: torch.dtype) -> Rounded:
    if isinstance(node.product, Softmax):
        return node.product.rounded(*before[0], dtype)
    if isinstance(node.product, WindowMaximum):
        # the distance of the largest numbers is at most the largest distance
        return node.product(before[0][0]), node.product.magnitude(before[0][1])
    if node.product is not None:
        return _multiplied(node.product, before, dtype)
    if node.join is None:
        assert node.operator is not None
        through = through_curve if node.curved else through_affine
        return through(node.operator, *before[0], dtype)
    join, values = node.join, [value for value, _ in before]
    sizes = join.magnitude(*(value.abs() + error for value, error in before))
    passed = join.magnitude(*(error for _, error in before)) if join.adds else join(*(error for _, error in before))
    unit = torch.finfo(dtype).eps * (join.terms + 1)
    return join(*values), passed.abs() + unit * sizes.abs() + torch.finfo(dtype).smallest_normal


def _multiplied(product: Bilinear, before: list[Rounded], dtype: torch.dtype) -> Rounded:
    """A product's value in float64, and the rounding of a run in ``dtype``."""
    (a, slack), (b, other) = before
    size = product(a.abs() + slack, b.abs() + other)
    passed = size - product(a.abs(), b.abs())
    unit = torch.finfo(dtype).eps * (product.terms + 1)
    return product(a, b), passed + unit * size + torch.finfo(dtype).smallest_normal
