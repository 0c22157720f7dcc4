"""The exact minimum of a small ReLU network's rows over a set, by enumeration of the activation patterns, with cvxpy.

Nothing of the product's bounds is used: the network is evaluated with fixed signs of its neurons, where it is affine.
"""

import cvxpy as cp
import numpy as np
import torch
from torch import nn


class FixedSigns(nn.Module):
    """In place of ReLUs: passes the numbers with sign 1 and stops the others; notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.signs, self.given = None, []

    def forward(self, z):
        self.given.append(z.flatten(1))
        return z * self.signs[len(self.given) - 1].view(1, *z.shape[1:])


def neurons(model, x):
    """The count of numbers at each ReLU of a model, in the order of its run."""
    counts = []
    hooks = [
        part.register_forward_hook(lambda module, given, out: counts.append(out[0].numel()))
        for part in model.modules()
        if isinstance(part, nn.ReLU)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return counts


def affine(run, shape):
    """The matrix and the constant of an affine function of a flat input, from its values."""
    n = int(np.prod(shape))
    points = torch.cat([torch.zeros(1, n), torch.eye(n)]).double().view(n + 1, *shape)
    values = run(points).detach().numpy()
    return (values[1:] - values[0]).T, values[0]


class SignedNetwork:
    """A copy of a network with one ``FixedSigns`` for all ReLUs; ``pieces`` are its affine functions for some signs."""

    def __init__(self, model, x):
        import copy

        self.counts, self.shape = neurons(model, x), tuple(x.shape[1:])
        self.fixed, self.model = FixedSigns(), copy.deepcopy(model).double().eval()
        for parent in list(self.model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(parent, name, self.fixed)

    def pieces(self, signs):
        """(matrix, constant) of all inputs of neurons, and of the outputs."""
        self.fixed.signs = list(torch.split(torch.tensor(signs, dtype=torch.float64), self.counts))

        def run(points):
            self.fixed.given = []
            out = self.model(points).flatten(1)
            return torch.cat([*self.fixed.given, out], dim=1)

        matrix, constant = affine(run, self.shape)
        inner = sum(self.counts)
        return matrix[:inner], constant[:inner], matrix[inner:], constant[inner:]


def minima(model, x, constraints_of, clauses):
    """For each clause (weights, offsets) the minimum over the set of its largest row.

    constraints_of(δ): cvxpy constraints of a convex set, on the flat variable δ.
    """
    network, best = SignedNetwork(model, x), [np.inf] * len(clauses)
    at = x.double().flatten().numpy()
    stack = [[]]
    while stack:
        signs = stack.pop()
        count = sum(network.counts)
        known = len(signs)
        matrix, constant, out, shift = network.pieces(signs + [0.0] * (count - known))
        delta = cp.Variable(at.size)
        side = np.where(np.array(signs) > 0, 1.0, -1.0)
        inside = list(constraints_of(delta))
        if known:
            inside.append(cp.multiply(side, matrix[:known] @ (at + delta) + constant[:known]) >= 0)
        if not solved(cp.Minimize(0), inside)[0]:
            continue
        if known < count:
            # the numbers of one layer do not depend on the signs of their own layer
            stack += [[*signs, 1.0], [*signs, 0.0]]
            continue
        for place, (weights, offsets) in enumerate(clauses):
            top = cp.Variable()
            rows = weights @ (out @ (at + delta) + shift) + offsets
            found, value = solved(cp.Minimize(top), [*inside, top >= rows])
            if found:
                best[place] = min(best[place], value)
    return best


def solved(goal, constraints):
    problem = cp.Problem(goal, constraints)
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return False, np.inf
    return problem.status in ("optimal", "optimal_inaccurate"), problem.value
