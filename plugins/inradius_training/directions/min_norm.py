"""The minimum-norm point of the gradients' convex hull."""

import attrs
import torch
from torch import Tensor, nn

from inradius import RunState
from inradius.components.validators import flag
from inradius.training.slots import Direction
from inradius_training.directions.rows import finite_gram, mixture, row_gradients

# relative to the largest squared length; smaller violations of optimality are rounding
_TOLERANCE = 1e-13


@attrs.frozen(kw_only=True)
class MinNorm(Direction):
    """G a, a = argmin ‖G a‖² over the simplex, where the k columns of G are the gradients under the k perturbations.

    Minus this vector is the steepest descent of the largest of the k losses, to first order. It is 0 exactly where no
    loss can fall without another one rising. With ``normalize`` it has length 1, as in equation 14 of the paper. Its
    length then does not show how near a minimum is, and constant steps oscillate around it, like steps along a single
    normalised gradient.
    Source: latorre2023; the algorithm of wolfe1976.
    """

    normalize: bool = attrs.field(default=False, validator=flag)

    def __call__(self, losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> None:
        """Leaves G a in ``grad``; the gradients are summed over all processes before a is computed."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        columns = row_gradients(losses, trained, run)
        gram = finite_gram(columns)
        if gram is None:
            # the mean of gradients that are not finite is not finite either, and the run reports it
            mixture(columns, torch.full((len(losses),), 1 / len(losses), dtype=torch.float64), trained)
            return
        weights = simplex_weights(gram)
        length = float((weights @ gram @ weights).clamp(min=0).sqrt())
        mixture(columns, weights / length if self.normalize and length > 0 else weights, trained)


def min_norm_weights(gradients: Tensor) -> Tensor:
    """argmin ‖Σ_j a_j g_j‖² over the simplex a ≥ 0, Σ a = 1, for the rows g_j of (k, n), (k,), in float64."""
    rows = gradients.detach().double()
    return simplex_weights(rows @ rows.mT).to(gradients.device)


def simplex_weights(gram: Tensor) -> Tensor:
    """argmin aᵀ Q a over the simplex for a positive semidefinite Q, (k, k) -> (k,), in float64 on the CPU.

    Wolfe's active-set method goes to the minimum over the affine hull of the columns in use, drops columns whose weight
    would become negative on the way, and adds the column that violates the optimality conditions most. It ends after
    finitely many steps. Source: wolfe1976.
    """
    gram = gram.detach().double().cpu()
    size = float(gram.diagonal().amax())
    weights = torch.zeros(len(gram), dtype=torch.float64)
    weights[int(gram.diagonal().argmin())] = 1
    if size <= 0:
        return weights
    gram = gram / size
    value = float(weights @ gram @ weights)
    while True:
        slopes = gram @ weights
        best = int(slopes.argmin())
        if float(slopes[best]) >= value - _TOLERANCE or bool(weights[best] > 0):
            return weights
        following = _descended(gram, weights, best)
        reached = float(following @ gram @ following)
        # rounding may prevent progress, and then the search ends
        if reached >= value:
            return weights
        weights, value = following, reached


def _descended(gram: Tensor, weights: Tensor, entering: int) -> Tensor:
    """The minimum over a face of the simplex, reached from ``weights`` after adding one column, (k,)."""
    weights = weights.clone()
    support = weights > 0
    support[entering] = True
    while True:
        aim = torch.zeros_like(weights)
        aim[support] = _affine_minimum(gram[support][:, support])
        outside = support & (aim <= 0)
        if not bool(outside.any()):
            return aim
        ratios = torch.where(outside, weights / (weights - aim), torch.inf)
        share = float(ratios.amin().nan_to_num(0.0))
        weights = (weights + share * (aim - weights)).clamp(min=0)
        weights[outside & (ratios <= share)] = 0
        support = support & ~(outside & (ratios.nan_to_num(0.0) <= share))


def _affine_minimum(gram: Tensor) -> Tensor:
    """argmin aᵀ Q a with Σ a = 1, for a of any sign, (m, m) -> (m,)."""
    count = len(gram)
    system = torch.ones(count + 1, count + 1, dtype=gram.dtype)
    system[:count, :count], system[count, count] = gram, 0
    right = torch.zeros(count + 1, 1, dtype=gram.dtype)
    right[count] = 1
    # columns may be linearly dependent
    solution: Tensor = torch.linalg.lstsq(system, right, driver="gelsd").solution
    return solution[:count, 0]
