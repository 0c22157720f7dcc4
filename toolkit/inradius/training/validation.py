"""The score of a network on the held-out examples."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.models.modes import evaluating
from inradius.training.snapshot import copied
from inradius.training.state import RunState


def score(run: RunState, model: nn.Module, right: Callable[[nn.Module, Dataset], Tensor]) -> float:
    """The share of held-out examples that count as right, noted with the clean accuracy."""
    found, clean = _means(run, model, right)
    run.log(score=found, clean=clean)
    return found


def keep_best(run: RunState, model: nn.Module, found: float) -> None:
    """Keeps the network's weights where none before had a larger score; a tie goes to the later."""
    if run.best_score is None or found >= run.best_score:
        run.best_score, run.best_epoch = found, run.epoch
        run.best_weights = copied(model)


def _means(run: RunState, model: nn.Module, right: Callable[[nn.Module, Dataset], Tensor]) -> tuple[float, float]:
    """The score and the clean accuracy on the held-out examples, each process looking at its part."""
    held_out = run.held_out
    mine = held_out.select(run.processes.shard(torch.arange(len(held_out))))
    total = torch.zeros(2, dtype=torch.float64, device=run.device)
    with evaluating(model), torch.no_grad():
        for batch in mine.batches(run.recipe.batch_size):
            here = batch.to(run.device)
            total[0] += right(model, here).sum()
            total[1] += (model(here.inputs).argmax(1) == here.labels).sum()
    found, clean = (run.processes.sum(total) / len(held_out)).tolist()
    return found, clean
