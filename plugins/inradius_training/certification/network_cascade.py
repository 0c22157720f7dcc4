"""Training of a cascade of networks."""

import copy
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from inradius import Certifier, Dataset, Defense, Run, ThreatModel
from inradius.components.default import default
from inradius.components.validators import component, count
from inradius_training.certification.cascade import Cascade, verdict


@attrs.frozen(kw_only=True)
class NetworkCascade(Defense):
    """A cascade of ``stages`` networks, each trained by ``training`` on the examples that the stages before cannot certify.

    A network certifies an example where it is proved to keep its own prediction, right or wrong. Every stage begins at
    the given weights and takes the full number of epochs. Where fewer than two examples are left, fewer stages are
    trained. The result is a ``Cascade``, which answers with a certificate or refuses. Each stage's run is a folder in
    ``parts``. ``cascade(mnist_small, mnist_small, threat=linf(eps=0.1))`` is the network for the weights of two stages.
    Source: wong2020, Algorithm 4.
    """

    positional = ("training",)

    training: Defense = attrs.field(
        factory=default("certified()", Defense, of="training of network_cascade"), validator=component(Defense)
    )
    certifier: Certifier = attrs.field(
        factory=default("dual()", Certifier, of="certifier of network_cascade"), validator=component(Certifier)
    )
    # each costs a whole run, and has fewer examples left to learn from
    stages: int = attrs.field(default=3, validator=count)

    def fit(self, model: nn.Module, data: Dataset, threat: ThreatModel, run: Run) -> nn.Module:
        """The cascade, in eval mode."""
        cascade = Cascade([], threat, self.certifier)
        left, held_out = data, run.held_out
        for number in range(self.stages):
            if number and len(left) < max(2, run.processes.count):
                break
            part = run.part(str(number + 1), copy.deepcopy(model), self.training, held_out)
            network = self.training.fit(part.model, left, threat, part)
            run.history.extend(part.history)
            cascade.stages.append(network)
            left, held_out = (self._uncertified(network, each, threat, run) for each in (left, held_out))
        run.best_score = self._share_of_right_answers(cascade, run)
        return run.finish(cascade)

    def slots(self) -> Mapping[str, str]:
        """The slots of the training of each stage."""
        return self.training.slots()

    def unused_slots(self) -> frozenset[str]:
        """The slots that the training of each stage does not use."""
        return self.training.unused_slots()

    def proved(
        self, trained: nn.Module, batch: Dataset, threat: ThreatModel, certifier: Certifier
    ) -> tuple[Tensor, Tensor]:
        """The right answers of the cascade, each with a proof by its own certifier; a refusal is neither, (B,), (B,)."""
        assert isinstance(trained, Cascade)
        right = trained.answers(batch.inputs, index=batch.index).label == batch.labels
        return right, right

    def trained_spec(self, spec: str, threat: ThreatModel, trained: nn.Module) -> str:
        """The spec of a cascade of as many networks as were trained."""
        assert isinstance(trained, Cascade)
        stages = ", ".join([spec] * len(trained.stages))
        return f"cascade({stages}, threat={threat}, certifier={self.certifier})"

    def _uncertified(self, network: nn.Module, data: Dataset, threat: ThreatModel, run: Run) -> Dataset:
        """The examples at which the network is not certified to keep its prediction."""
        parts = [torch.zeros(0, dtype=torch.bool)]
        for batch in data.batches(run.recipe.batch_size):
            here = batch.to(run.device)
            parts.append(~verdict(network, here.inputs, threat, self.certifier, here.index)[1].cpu())
        return data.select(torch.cat(parts).nonzero().squeeze(1))

    def _share_of_right_answers(self, cascade: Cascade, run: Run) -> float | None:
        """The share of held-out examples with a right answer; None where none is held out."""
        if not len(run.held_out):
            return None
        right = 0
        for batch in run.held_out.batches(run.recipe.batch_size):
            here = batch.to(run.device)
            right += int((cascade.answers(here.inputs, index=here.index).label == here.labels).sum())
        return right / len(run.held_out)
