"""Bounds of the minimum of a small ReLU network's rows over a polyhedral set, in rational numbers.

All activation patterns that a member of the set may have are enumerated. Below is the least bound of a pattern by weak duality,
above is the network's value at a member of the set. Nothing is rounded, and nothing of the product is used.
"""

from fractions import Fraction

import numpy as np
import torch
from rational_polytope import ZERO, exact, lower_bound, zeros
from torch import nn


class Skip(nn.Module):
    """x + body(x)."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


class RationalNetwork:
    """A network of Linear, Conv2d, ReLU, Skip and Flatten as a function of w, where its input is at + shifts w."""

    def __init__(self, model, x, shifts):
        self.model, self.shape = model, tuple(x.shape[1:])
        self.at, self.shifts, self.layers = exact(x.flatten().numpy()), shifts, {}

    def pieces(self, signs):
        """The inputs of the ReLUs with these signs, and the outputs if there are enough signs, each as (matrix, constants)."""
        self.left, self.met = list(signs), []
        try:
            out, _ = self._run(self.model, (self.shifts, self.at), self.shape)
        except StopIteration:
            out = None
        matrices, constants = zip(*self.met, strict=True)
        return np.concatenate(matrices), np.concatenate(constants), out

    def outputs(self, w):
        """The outputs at one w."""
        self.left, self.met = None, []
        at = self.at + self.shifts @ w
        return self._run(self.model, (zeros(len(at), 0), at), self.shape)[0][1]

    def _run(self, module, given, shape):
        if isinstance(module, nn.Sequential):
            for part in module:
                given, shape = self._run(part, given, shape)
            return given, shape
        if isinstance(module, Skip):
            added, out = self._run(module.body, given, shape)
            return (given[0] + added[0], given[1] + added[1]), out
        if isinstance(module, nn.Flatten):
            return given, (int(np.prod(shape)),)
        if isinstance(module, nn.ReLU):
            return self._rectified(given), shape
        weight, bias, out = self._layer(module, shape)
        return (weight @ given[0], weight @ given[1] + bias), out

    def _rectified(self, given):
        matrix, constants = given
        self.met.append(given)
        if self.left is None:
            return matrix, np.maximum(constants, ZERO)
        if len(self.left) < len(constants):
            raise StopIteration
        signs, self.left = np.array(self.left[: len(constants)], dtype=object), self.left[len(constants) :]
        return matrix * signs[:, None], constants * signs

    def _layer(self, module, shape):
        if module not in self.layers:
            units = torch.eye(int(np.prod(shape)), dtype=torch.float64).view(-1, *shape)
            bias = module.bias.detach()
            with torch.no_grad():
                # one product for each number, which 1 and 0 do not round
                columns = nn.functional.conv2d(units, module.weight) if isinstance(module, nn.Conv2d) else None
                matrix = module.weight.detach() if columns is None else columns.flatten(1).T
            out = (len(matrix),) if columns is None else tuple(columns.shape[1:])
            each = bias.repeat_interleave(len(matrix) // len(bias))
            self.layers[module] = exact(matrix.numpy()), exact(each.numpy()), out
        return self.layers[module]


def rational_minimum(model, x, polytope, clauses):
    """(below, above): bounds of the minimum over all clauses (weights, offsets) of the clause's largest row."""
    network = RationalNetwork(model, x, polytope.shifts)
    below, above, stack = [], [], [()]
    clauses = [(exact(weights), exact(offsets)) for weights, offsets in clauses]
    while stack:
        signs = stack.pop()
        matrix, constants, out = network.pieces(signs)
        known = len(signs)
        side = np.array([1 if sign else -1 for sign in signs], dtype=object)
        rows, ends = -side[:, None] * matrix[:known], side * constants[:known]
        if known and _empty(polytope, rows, ends):
            continue
        if known < len(constants):
            # numbers of one layer do not depend on signs of their own layer
            stack += [(*signs, 1), (*signs, 0)]
            continue
        for weights, offsets in clauses:
            bound, w = lower_bound(weights @ out[0], weights @ out[1] + offsets, polytope, rows, ends)
            below.append(bound)
            above.append(max(weights @ network.outputs(polytope.inside(w)) + offsets))
    return min(below), min(above)


def _empty(polytope, rows, ends):
    """True where multipliers prove that no member meets the rows."""
    nothing = np.full((1, rows.shape[1]), ZERO, dtype=object)
    return lower_bound(nothing, np.array([ZERO], dtype=object), polytope, rows, ends)[0] > Fraction(0)
