"""Steps of torch's optimisers for many perturbations at once, of which some may leave."""

from torch import Tensor
from torch.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop, Rprop

# those that treat every coordinate by itself, so that examples do not mix
OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop, SGD)
}


class TorchSteps:
    """An optimiser with torch's defaults on ``count`` rows of the shape of x (B, *S); it ascends, and only steps matter."""

    def __init__(self, name: str, rate: float, count: int, like: Tensor) -> None:
        self._rows = like.new_zeros((count, *like.shape[1:]))
        # every optimiser above takes a learning rate, which their base class does not say
        kind: type = OPTIMIZERS[name]
        self._optimizer: Optimizer = kind([self._rows], lr=rate)

    def step(self, gradient: Tensor) -> Tensor:
        """The optimiser's next step, (n, *S)."""
        self._rows.zero_()
        self._rows.grad = -gradient
        self._optimizer.step()
        return self._rows.clone()

    def take(self, index: Tensor) -> None:
        """Keeps only the rows in ``index``, each with its state."""
        before, rows = self._rows, self._rows[index]
        past = self._optimizer.state.pop(before, {})
        self._optimizer.state[rows] = {
            name: value[index] if isinstance(value, Tensor) and value.shape == before.shape else value
            for name, value in past.items()
        }
        self._optimizer.param_groups[0]["params"] = [rows]
        self._rows = rows
