"""How good a network is on what was held out."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from inradius.modes import evaluating
from inradius.threat import ThreatModel

if TYPE_CHECKING:
    from inradius.run import Run


def held_out_means(run: "Run", model: nn.Module, threat: ThreatModel) -> tuple[float, float]:
    """The defense's score and the clean accuracy on the held-out examples, each process looking at its part."""
    held_out = run.held_out
    mine = held_out.select(run.processes.share(torch.arange(len(held_out))))
    right = torch.zeros(2, dtype=torch.float64, device=run.device)
    with evaluating(model), torch.no_grad():
        for batch in mine.batches(run.recipe.batch_size):
            here = batch.to(run.device)
            right[0] += run.defense.score(model, here, threat, run).sum()
            right[1] += (model(here.inputs).argmax(1) == here.labels).sum()
    score, clean = (run.processes.sum(right) / len(held_out)).tolist()
    return score, clean
