"""The attacks within a step of training, once for each batch or anew for each gradient."""

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.data.dataset import Dataset
from inradius.errors import PluginError
from inradius.models.modes import BatchNormMode
from inradius.sets.oracles import Oracles
from inradius.training.attacked_batch import Perturbations
from inradius.training.trace import Trace


@attrs.frozen(eq=False, kw_only=True)
class InnerProblem:
    """One attack on a mini-batch: in which set, with ``goal`` (B,) at which classes, and from which ``start`` (B, *S).

    Without a start the attack chooses its own.
    """

    attack: Attack
    threat: Oracles
    goal: Tensor | None = None
    start: Tensor | None = None


def search(
    searches: Sequence[InnerProblem],
    model: nn.Module,
    batch: Dataset,
    *,
    targets: Tensor | None,
    keep: tuple[int, ...],
    bn_mode: BatchNormMode,
) -> Perturbations:
    """The perturbations that the attacks find, (B, *S) each; one outside of its set counts as 0. The trace is that of the first.

    Without ``targets`` an attack takes the mixed labels of the batch, where there are any, unless it compares predictions.
    """
    trace = Trace(keep, len(batch))
    deltas = []
    for place, one in enumerate(searches):
        delta = one.attack.find(
            model,
            batch.inputs,
            batch.labels,
            one.threat,
            index=batch.index,
            goal=one.goal,
            start=one.start,
            bn_mode=bn_mode,
            targets=batch.targets if targets is None and not one.attack.compares() else targets,
            observe=trace if place == 0 else None,
        )
        deltas.append(delta)
    if missing := sorted(set(keep) - trace.iterates.keys()):
        raise PluginError(
            f"{searches[0].attack} showed no iterate {missing[0]}; allowed are attacks that make as many steps and show each "
            "to observe"
        )
    return Perturbations(
        delta=deltas[0],
        candidates=torch.stack(deltas),
        trace=trace.iterates,
        withstood=trace.withstood,
        tried=trace.tried,
    )


class AttackCache:
    """The perturbations found for a batch, so that a second gradient on it, at other weights, uses the same perturbations.

    Searches are told apart by their order: a loss that asks for the second time is given what it found the first time.
    """

    def __init__(self) -> None:
        # the batches are held as well, so that no other one takes the place of one in memory
        self._found: dict[int, tuple[Dataset | None, list[Perturbations]]] = {}
        self._batch: Dataset | None = None
        self._place = 0

    def begin(self, *batches: Dataset) -> None:
        """The batches of this step, the first of them now; those of the steps before are done."""
        known = {id(batch) for batch in batches}
        self._found = {key: found for key, found in self._found.items() if key in known}
        self.rewind(batches[0], anew=False)

    def rewind(self, batch: Dataset, *, anew: bool) -> None:
        """The searches that follow are for this batch: those already made, or ``anew`` ones."""
        self._batch, self._place = batch, 0
        if anew:
            self._found[id(batch)] = (batch, [])

    def recall(self, make: Callable[[], Perturbations]) -> Perturbations:
        """The perturbations found at this place; they are made where there are none yet."""
        _, known = self._found.setdefault(id(self._batch), (self._batch, []))
        if self._place == len(known):
            known.append(make())
        self._place += 1
        return known[self._place - 1]
