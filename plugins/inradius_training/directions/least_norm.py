"""The shortest of several gradients."""

import attrs
import torch
from torch import Tensor, nn

from inradius import RunState
from inradius.training.slots import Direction
from inradius_training.directions.rows import finite_gram, mixture, row_gradients


@attrs.frozen(kw_only=True)
class LeastNorm(Direction):
    """The gradient of the smallest length among those of the k mean losses of a mini-batch.

    With ``ddi(k=10)`` it is PGD-min-10, which DDi's paper compares with: ten attacks, one step along the shortest gradient.
    Source: latorre2023, PGD-min-10.
    """

    def __call__(self, losses: Tensor, parameters: list[nn.Parameter], run: RunState) -> None:
        """Leaves the shortest gradient in ``grad``; gradients are summed over all processes before they are compared."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        columns = row_gradients(losses, trained, run)
        gram = finite_gram(columns)
        # where gradients are not finite, their mean is not finite, and the run reports it
        chosen = torch.full((len(losses),), 1 / len(losses), dtype=torch.float64)
        if gram is not None:
            chosen = torch.nn.functional.one_hot(gram.diagonal().argmin(), len(losses)).double()
        mixture(columns, chosen, trained)
