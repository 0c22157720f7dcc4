"""The attack that a comparison of predictions needs, and what it finds."""

import torch
from torch import nn

from inradius import AdversarialDefense, Attack, Dataset, Run, ThreatModel, Views, make
from inradius.modes import evaluating
from inradius.nested import members_of, objective_of


def climber(objective: str, begin: str = "noise=0.001") -> Attack:
    """Ten steps of PGD that look for the largest objective, near x and yet off it: at x the distances have no gradient."""
    # Zhang et al. 2019, sec. 5: 10 steps from 0.001 N(0, 1); a quarter of the radius a step is Wu et al. 2022, sec. 5
    return make(f"pgd(steps=10, step=0.25, {begin}, objective={objective}, keep_maximising=True)", Attack)


def seen(
    defense: AdversarialDefense,
    model: nn.Module,
    batch: Dataset,
    threat: ThreatModel,
    run: Run,
    *,
    keep: tuple[int, ...] = (),
) -> Views:
    """The batch and what the attack finds.

    An attack that compares predictions is given the clean ones also where labels are mixed, as it otherwise takes the labels.
    """
    targets = None
    if batch.targets is not None and _compares(defense.attack):
        with evaluating(model, defense.bn_mode), torch.no_grad():
            targets = model(batch.inputs).softmax(1)
    return defense.views(model, batch, threat, run, targets=targets, keep=keep)


def _compares(attack: Attack) -> bool:
    """Whether the attack, or one that it holds, maximises a distance from the clean prediction."""
    return objective_of(attack).relative or any(map(_compares, members_of(attack)))
