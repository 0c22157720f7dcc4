"""The affine part of a computation between two states, as one block."""

from collections.abc import Iterable

from inradius import Operator
from inradius_bounds.layout.affine_program import AffineProgram, AffineProgramRule
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.layout.state import State
from inradius_bounds.lowering.node import Node


def block_between(order: Iterable[Node], source: State, target: State) -> AffineBlock:
    """The affine part from one state to the next: a run of plain layers where there is one, else a program."""
    steps = _steps(order, source, target)
    plain = _plain(source, steps, target)
    if plain is not None:
        return AffineBlock(plain, source.shape, target.shape)
    program = AffineProgram(source, tuple(steps), target)
    op = Operator("program", program, AffineProgramRule(), source.shape, target.shape)
    return AffineBlock((op,), source.shape, target.shape)


def _steps(order: Iterable[Node], source: State, target: State) -> list[Node]:
    """The nodes between two states, in order."""
    needed: set[Node] = set()
    stack = list(target.nodes)
    while stack:
        node = stack.pop()
        if node not in needed and node not in source.nodes:
            needed.add(node)
            stack += node.sources
    return [node for node in order if node in needed]


def _plain(source: State, steps: list[Node], target: State) -> tuple[Operator, ...] | None:
    if len(source.nodes) > 1 or len(target.nodes) > 1:
        return None
    path = [*source.nodes, *steps]
    if any(step.operator is None or step.sources != (before,) for before, step in zip(path, steps, strict=False)):
        return None
    return tuple(step.operator for step in steps if step.operator is not None)
