"""The shared part of penalties of local linearity."""

from abc import abstractmethod
from typing import get_args

import attrs
import torch
from torch import Tensor, nn

from inradius import AttackedBatch, CrossEntropy, Dataset, ExampleRNG, RunState
from inradius.components.validators import integer
from inradius.models.modes import BatchNormMode, evaluating
from inradius.rng import derive
from inradius.sets.oracles import Oracles
from inradius.training.slots import Regularizer


@attrs.frozen(kw_only=True)
class Local(Regularizer):
    """A penalty on the loss of each example within its set, computed in separate passes.

    In these passes dropout is off, and BatchNorm works as ``bn_mode`` says: by default it uses the statistics of the
    batch, as the step on the weights does, and keeps none of them. The passes are in full precision even where the rest
    is not, because they compare small differences of losses. Random points are functions of (seed, epoch, example).
    """

    seed: int = attrs.field(default=0, validator=integer)
    # batch statistics: all released code stays in training mode, which also keeps them
    bn_mode: BatchNormMode = attrs.field(
        default="train_notrack", validator=attrs.validators.in_(get_args(BatchNormMode))
    )

    @abstractmethod
    def bend(self, model: nn.Module, batch: Dataset, threat: Oracles, rng: ExampleRNG) -> Tensor:
        """The penalty of each example, (B,)."""

    def penalty(self, model: nn.Module, views: AttackedBatch, threat: Oracles, run: RunState) -> Tensor:
        """The penalty of each example, (B,)."""
        batch = views.batch
        rng = ExampleRNG(derive(run.seed, self.spec_name(), self.seed, run.epoch), batch.index)
        with evaluating(model, self.bn_mode), torch.autocast(batch.inputs.device.type, enabled=False):
            return self.bend(model, batch, threat, rng)


def losses_at(model: nn.Module, points: Tensor, batch: Dataset) -> Tensor:
    """The cross-entropy of each example at its points, (k·B, *S) with example i at i, B + i, ... -> (k·B,).

    It is the cross-entropy of attacks, whose gradient does not round to zero where the model is confident.
    """
    copies = len(points) // len(batch)
    targets = None if batch.targets is None else batch.targets.repeat(copies, 1)
    return CrossEntropy().score(model(points), batch.labels.repeat(copies), targets=targets)


def slopes_at(model: nn.Module, points: Tensor, batch: Dataset, *, differentiable: bool) -> tuple[Tensor, Tensor]:
    """Each example's loss, (B,), and its gradient in the input, (B, *S), which keeps its graph where ``differentiable``."""
    here = points.detach().requires_grad_()
    losses = losses_at(model, here, batch)
    (slopes,) = torch.autograd.grad(losses.sum(), here, create_graph=differentiable)
    return losses, slopes
