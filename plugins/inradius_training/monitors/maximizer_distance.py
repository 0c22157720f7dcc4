"""A monitor of the number of solutions of the inner problem."""

from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inradius import Attack, Dataset, RunState, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, count
from inradius.models.modes import evaluating
from inradius.stored.checksum import sealed_json
from inradius.stored.files import write_atomic
from inradius.training.slots import Action, Monitor
from inradius_training.monitors.monitor_data import note, title, training_examples


def _at_least_two(_: Any, field: "attrs.Attribute[Any]", value: object) -> None:
    count(_, field, value)
    if value == 1:
        raise ValueError(f"{field.name}=1 is not allowed; allowed is an integer ≥ 2, because a distance needs two")


@attrs.frozen(kw_only=True)
class MaximizerDistance(Monitor):
    """The ℓ2 distances between the maximisers that several random starts of an attack find for the same example.

    Where the distances are far from 0, the maximum has many solutions, and the gradient at one of them need not be a
    descent direction of the maximum. Logs the mean of the distances, three quantiles, the mean loss at the maximisers,
    and the mean over examples of the standard deviation of that loss. The deviation is near 0 where the maximisers are
    equally good. Each epoch's histogram is a line of ``monitors/maximizer_distance.jsonl`` in the run's folder. Source:
    latorre2023, section 5.1.
    """

    # Latorre et al. 2023, sec. 5.1: PGD-7 from random starts; a maximiser, so it goes on after a miss
    attack: Attack = attrs.field(
        factory=default("pgd(steps=7, step=0.25, keep_maximising=True)", Attack, of="attack of maximizer_distance"),
        validator=component(Attack),
    )
    # Latorre et al. 2023, sec. 5: 10 perturbations of each example, and 10 examples in figure 2
    restarts: int = attrs.field(default=10, validator=_at_least_two)
    examples: int = attrs.field(default=10, validator=count)
    bins: int = attrs.field(default=20, validator=count)

    def after_epoch(self, model: nn.Module, threat: ThreatModel, run: RunState) -> list[Action]:
        examples = training_examples(self, self.examples, run)
        found = torch.stack([self._maximisers(number, model, examples, threat) for number in range(self.restarts)], 1)
        distances = run.processes.gather(_pairwise(found))
        low, median, high = distances.quantile(distances.new_tensor([0.1, 0.5, 0.9])).tolist()
        losses = _losses(model, examples, found)
        note(self, run, {"mean": distances.mean().item(), "low": low, "median": median, "high": high})
        note(self, run, {"loss/mean": run.mean(losses), "loss/deviation": run.mean(losses.std(1, correction=0))})
        lines = run.memory(self).setdefault("histograms", [])
        lines.append({"epoch": run.epoch + 1, **_histogram(distances, self.bins)})
        return []

    def recorded(self, run: RunState) -> None:
        if run.processes.main and (lines := run.memory(self).get("histograms")):
            path = run.own(f"monitors/{title(self, run)}.jsonl")
            write_atomic(path, b"".join(map(sealed_json, lines)))

    def _maximisers(self, number: int, model: nn.Module, examples: Dataset, threat: ThreatModel) -> Tensor:
        """The perturbations found from one start, (B, *S)."""
        attack = attrs.evolve(self.attack, seed=self.attack.seed + number)
        return attack(model, examples.inputs, examples.labels, threat, index=examples.index).delta


def _pairwise(found: Tensor) -> Tensor:
    """The distances of all pairs of each example's maximisers, (B, k, *S) -> (B · k(k−1)/2,)."""
    first, second = torch.combinations(torch.arange(found.shape[1], device=found.device)).unbind(1)
    between = (found[:, first] - found[:, second]).flatten(2).double()
    return between.square().sum(2).sqrt().flatten()


def _losses(model: nn.Module, examples: Dataset, found: Tensor) -> Tensor:
    """The cross-entropy at each maximiser, (B, k)."""
    with evaluating(model), torch.no_grad():
        columns = [
            F.cross_entropy(model(examples.inputs + delta), examples.labels, reduction="none")
            for delta in found.unbind(1)
        ]
    return torch.stack(columns, 1).double()


def _histogram(distances: Tensor, bins: int) -> dict[str, list[float]]:
    """The number of distances in each of ``bins`` equal parts of [0, the largest distance]."""
    counts, edges = torch.histogram(distances.cpu(), bins=bins, range=(0.0, max(distances.max().item(), 1e-12)))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
