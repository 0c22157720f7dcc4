"""Hypothesis strategies for inputs, perturbations and directions, including the cases that break oracles.

Every tensor is float64 and has a batch axis in front of ``shape``, the shape of one example.
"""

from typing import Any

import attrs
import hypothesis.strategies as st
import torch
from hypothesis.extra import numpy as arrays
from torch import Tensor

from inradius.rng import ExampleRNG
from inradius.sets.arithmetic.sides import Box, beside, numbers_alone
from inradius.sets.oracles import Oracles

Shape = tuple[int, ...]


@attrs.frozen(eq=False)
class Case:
    """A case for the laws of sets.

    x (B, *S): inputs; delta (B, *S): perturbations, inside of the set or far outside; c (B, K, *S): directions; factors
    (B,): of the radius; seed: of the random draws; tol: the allowed relative error; rows: the examples' numbers.
    """

    x: Tensor
    delta: Tensor
    c: Tensor
    factors: Tensor
    seed: int
    tol: float
    rows: Tensor = attrs.field(default=attrs.Factory(lambda self: torch.arange(len(self.x)), takes_self=True))

    def streams(self) -> ExampleRNG:
        """Random numbers for the examples."""
        return ExampleRNG(self.seed, self.rows)

    def select(self, row: int) -> "Case":
        """One example of the case, with its number."""
        only = slice(row, row + 1)
        return Case(
            self.x[only], self.delta[only], self.c[only], self.factors[only], self.seed, self.tol, self.rows[only]
        )

    def members(self, threat: Oracles) -> list[Tensor]:
        """Points of Δ(x), each (B, *S): zero, projected, drawn, and extreme in the case's directions."""
        extreme = [threat.linear_max(c, self.x) for c in self.c.unbind(1)]
        drawn = threat.sample(self.x, rng=self.streams())
        return [torch.zeros_like(self.x), threat.project(self.delta, self.x), drawn, *extreme]

    def to(self, dtype: torch.dtype) -> "Case":
        """The same case in another precision; ``x`` is rounded and not moved back into the box."""
        x, delta, c, factors = (t.to(dtype) for t in (self.x, self.delta, self.c, self.factors))
        return attrs.evolve(self, x=x, delta=delta, c=c, factors=factors)


def _tensors(shape: Shape, *elements: st.SearchStrategy[float]) -> st.SearchStrategy[Tensor]:
    """Arrays whose entries all come from one of ``elements``; many entries are equal."""
    made: list[st.SearchStrategy[Any]] = [arrays.arrays("float64", shape, elements=each) for each in elements]
    return st.one_of(made).map(torch.from_numpy)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers in [low, high]; numbers below 1e-12 are zero, because no oracle can square 1e-300."""
    return st.floats(low, high, allow_subnormal=False).map(lambda v: v if abs(v) > 1e-12 else 0.0)


def _steps() -> st.SearchStrategy[float]:
    """A few different numbers, so that most entries are ties or zero."""
    return st.integers(-4, 4).map(lambda v: v / 4)


def _spans() -> st.SearchStrategy[float]:
    """Numbers of both signs that span 20 orders of magnitude."""
    return st.tuples(st.sampled_from([-1.0, 1.0, 0.0]), st.floats(-10, 10)).map(lambda v: v[0] * 10 ** v[1])


def inputs(shape: Shape, bounds: Box = (0.0, 1.0), *, batch: int = 2) -> st.SearchStrategy[Tensor]:
    """Inputs in the box, many on its faces; without a box in [−3, 3], (B, *shape)."""
    if bounds is not None and numbers_alone(bounds) is None:
        return inputs(shape, batch=batch).map(lambda x: _moved_into(x, bounds))
    low, high = numbers_alone(bounds) or (-3.0, 3.0)
    faces = st.sampled_from([low, high, (low + high) / 2])
    inner = st.floats(low, high, allow_subnormal=False)
    return _tensors((batch, *shape), faces, inner)


def _moved_into(shares: Tensor, bounds: Box) -> Tensor:
    """Shares of the box's width in [0, 1] as points of the box, (B, *shape)."""
    low, high = (torch.as_tensor(side, dtype=shares.dtype) for side in beside(bounds, shares) or (0.0, 1.0))
    return torch.where(shares == 1, high, torch.minimum(torch.maximum(low + shares * (high - low), low), high))


def directions(shape: Shape, *, count: int = 2, batch: int = 2) -> st.SearchStrategy[Tensor]:
    """Directions with ties, zeros and spans of 20 orders of magnitude, (B, K, *shape)."""
    return _tensors((batch, count, *shape), _steps(), _floats(-1, 1), _spans())


def perturbations(shape: Shape, *, batch: int = 2) -> st.SearchStrategy[Tensor]:
    """Perturbations of every size, from far inside of a set to far outside, (B, *shape)."""
    size = st.sampled_from([1.0, 0.1, 0.01, 10.0])
    plain = st.tuples(_tensors((batch, *shape), _floats(-1, 1), _steps()), size).map(lambda v: v[0] * v[1])
    return st.one_of(plain, _tensors((batch, *shape), _spans()))


def cases(
    shape: Shape,
    *,
    inputs: st.SearchStrategy[Tensor] | None = None,
    bounds: Box = (0.0, 1.0),
    batch: int = 2,
    tolerance: float = 1e-7,
) -> st.SearchStrategy[Case]:
    """Cases for the laws of sets; ``inputs`` replaces the inputs in ``bounds`` for sets that need others."""
    return st.builds(
        Case,
        x=inputs if inputs is not None else globals()["inputs"](shape, bounds, batch=batch),
        delta=perturbations(shape, batch=batch),
        c=directions(shape, batch=batch),
        factors=_tensors((batch,), st.sampled_from([1.0, 0.5, 0.0, 2.0, 0.3])),
        seed=st.integers(0, 2**31),
        tol=st.just(tolerance),
    )
