"""Transport with an entropy: Sinkhorn's alternation in the log domain."""

import warnings

import torch
from torch import Tensor

from inradius_wasserstein.set.moves import PixelMoves

# Each stage of the annealing shrinks the regularisation by this factor (Schmitzer 2019, sec. 3.2).
_ANNEALING = 0.25
# Numbers that a half step holds at once.
_BLOCK = 1 << 22
# Rounds by products between two rounds in the log domain, because an exponential costs as much as many products.
_PRODUCTS = 30
# Far below the overflow of float64. The scalings of one run of products stay below it unless masses are near 0.
_LARGEST = 1e100


def entropic_cost(
    a: Tensor,
    b: Tensor,
    there: PixelMoves,
    back: PixelMoves,
    *,
    regularization: float,
    tolerance: float,
    iterations: int,
) -> Tensor:
    """⟨C, P⟩ of the plan P with the least ⟨C, P⟩ + regularization · KL(P | a bᵀ), both (N, n) with rows of sum 1, (N,).

    ``there`` are the moves from the pixels of a; ``back`` are the same moves seen from the pixels of b. The gradient is
    that of the regularised least cost, which is the potentials. An example stops when the marginals of its plan are
    wrong by at most ``tolerance``. A warning counts the examples that do not reach it within ``iterations``.
    Source: cuturi2013, schmitzer2019.
    """
    with torch.no_grad():
        rows = max(1, _BLOCK // there.target.numel())
        solved = [
            _solve(a[k : k + rows], b[k : k + rows], there, back, regularization, tolerance, iterations)
            for k in range(0, max(1, len(a)), rows)
        ]
        f, g, cost, error = (torch.cat(parts) for parts in zip(*solved, strict=True))
        _report(error, tolerance, iterations)
    return cost + ((a - a.detach()) * f).sum(1) + ((b - b.detach()) * g).sum(1)


def _solve(
    a: Tensor, b: Tensor, there: PixelMoves, back: PixelMoves, gamma: float, tolerance: float, iterations: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both potentials (N, n), the plan's cost (N,) and the error of its marginals (N,)."""
    f, g, error = _potentials(a, b, there, back, gamma, tolerance, iterations)
    level = _level(a, f, gamma)[:, :, None] + _level(b, g, gamma)[:, there.target] - _price(there, gamma)
    return f, g, (level.exp() * there.cost).sum((1, 2)), error


def _potentials(
    a: Tensor, b: Tensor, there: PixelMoves, back: PixelMoves, smallest: float, tolerance: float, iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Both potentials (N, n) and the error of the marginals (N,)."""
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    error = torch.full_like(a[:, 0], torch.inf)
    gamma = max(smallest, float(there.cost[there.valid].max()))
    while True:
        last = gamma <= smallest
        # an early stage only gives the next one its start
        goal = tolerance if last else max(tolerance, 1e-2)
        todo = torch.arange(len(a), device=a.device)
        for _ in range(-(-iterations // (_PRODUCTS + 1))):
            found = _round(a[todo], b[todo], f[todo], g[todo], there, back, gamma)
            f[todo], g[todo], error[todo] = found
            todo = todo[found[2] > goal]
            if not len(todo):
                break
            f[todo], g[todo] = _products(a[todo], b[todo], f[todo], g[todo], there, back, gamma)
        if last:
            return f, g, error
        gamma = max(smallest, gamma * _ANNEALING)


def _round(
    a: Tensor, b: Tensor, f: Tensor, g: Tensor, there: PixelMoves, back: PixelMoves, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The next potentials, and the error of the marginals of the plan between."""
    ahead = _half(b, g, there, gamma)
    error = (a * torch.expm1((f - ahead) / gamma).abs()).nan_to_num(posinf=1.0).sum(1)
    return ahead, _half(a, ahead, back, gamma), error


def _products(
    a: Tensor, b: Tensor, f: Tensor, g: Tensor, there: PixelMoves, back: PixelMoves, gamma: float
) -> tuple[Tensor, Tensor]:
    """The potentials after some rounds of scaling the rows and columns of their plan."""
    ahead, behind = _kernel(f, g, there, gamma), _kernel(g, f, back, gamma)
    u, v = torch.ones_like(f), torch.ones_like(g)
    for _ in range(_PRODUCTS):
        u = _inverse(_sums(ahead, b * v, there))
        v = _inverse(_sums(behind, a * u, back))
    return f + gamma * u.log(), g + gamma * v.log()


def _kernel(near: Tensor, far: Tensor, moves: PixelMoves, gamma: float) -> Tensor:
    """exp((near_i + far_j − C_ij) / γ) for the moves of each pixel, (N, n, m)."""
    level = (near[:, :, None] + far[:, moves.target]) / gamma - _price(moves, gamma)
    return level.exp_().clamp_(max=_LARGEST)


def _sums(kernel: Tensor, weight: Tensor, moves: PixelMoves) -> Tensor:
    # a table of all pixels in their order, where the first move of the last pixel goes to pixel 0
    if kernel.shape[1] == kernel.shape[2] and int(moves.target[-1, 0]) == 0:
        return (kernel @ weight[:, :, None]).squeeze(2)
    return (kernel * weight[:, moves.target]).sum(2)


def _inverse(sums: Tensor) -> Tensor:
    return torch.where(sums > 0, 1 / sums, 1.0).clamp(1 / _LARGEST, _LARGEST)


def _half(mass: Tensor, potential: Tensor, moves: PixelMoves, gamma: float) -> Tensor:
    """−γ log Σ_j mass_j exp((potential_j − C_ij) / γ) over the moves of pixel i, (N, n); 0 where none of them has mass."""
    reached = _level(mass, potential, gamma)[:, moves.target] - _price(moves, gamma)
    answer = -gamma * reached.logsumexp(2)
    return torch.where(torch.isfinite(answer), answer, torch.zeros_like(answer))


def _level(mass: Tensor, potential: Tensor, gamma: float) -> Tensor:
    return torch.where(mass > 0, mass.log() + potential / gamma, -torch.inf)


def _price(moves: PixelMoves, gamma: float) -> Tensor:
    return torch.where(moves.valid, moves.cost / gamma, torch.inf)


def _report(error: Tensor, tolerance: float, iterations: int) -> None:
    late = int((error > tolerance).sum())
    if late:
        warnings.warn(
            f"{late} of {len(error)} plans have marginals wrong by up to {float(error.max()):.2g} of their mass after "
            f"{iterations} iterations, more than tolerance={tolerance:g}; "
            "a larger regularization or more iterations help",
            RuntimeWarning,
            stacklevel=4,
        )
