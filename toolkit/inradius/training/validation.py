"""How good a network is on what was held out."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from inradius.models.modes import evaluating
from inradius.sets.threat_model import ThreatModel
from inradius.training import state

if TYPE_CHECKING:
    from inradius.training.run import Run


def score(run: "Run", model: nn.Module, threat: ThreatModel) -> float:
    """The defense's score of a network on the held-out examples, noted with the clean accuracy."""
    found, clean = _means(run, model, threat)
    run.log(score=found, clean=clean)
    return found


def keep_best(run: "Run", model: nn.Module, found: float) -> None:
    """Keeps the network's weights where none before had a larger score."""
    if run.best_score is None or found >= run.best_score:
        run.best_score, run.best_epoch = found, run.epoch
        run.best_weights = state.copied(model)


def _means(run: "Run", model: nn.Module, threat: ThreatModel) -> tuple[float, float]:
    """The defense's score and the clean accuracy on the held-out examples, each process looking at its part."""
    held_out = run.held_out
    mine = held_out.select(run.processes.share(torch.arange(len(held_out))))
    right = torch.zeros(2, dtype=torch.float64, device=run.device)
    with evaluating(model), torch.no_grad():
        for batch in mine.batches(run.recipe.batch_size):
            here = batch.to(run.device)
            right[0] += run.defense.score(model, here, threat, run).sum()
            right[1] += (model(here.inputs).argmax(1) == here.labels).sum()
    found, clean = (run.processes.sum(right) / len(held_out)).tolist()
    return found, clean
