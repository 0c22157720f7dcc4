"""The run of a game between a generator and a critic, whatever their losses are."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, InputError, Run, ThreatModel, load_model
from inradius.models.modes import evaluating
from inradius.rng import derive
from inradius.training.defense import SLOTS
from inradius_gan.game import Game
from inradius_gan.player import Player
from inradius_gan.rules import Rules

# each player has its own optimiser, and the weights are not averaged
_OPTIONS = frozenset({"optimizer", "lr", "momentum", "weight_decay", "clip", "ema", "precision", "compile"})


def _critic(_: object, field: "attrs.Attribute[str | None]", value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise ValueError(
            f"{field.name} is {type(value).__name__}; allowed is a network's spec in quotes, as in 'mlp(2, 64, 1)', or None"
        )


@attrs.frozen(kw_only=True)
class TwoPlayers(Rules, ABC):
    """A game between a generator g and a critic f, a network that gives a number for each input; z is standard normal noise.

    ``critic_steps`` mini-batches move the critic, then the last of them moves the generator, which is the trained model. A
    subclass defines the losses of both. Sets of perturbations are not used.
    """

    positional = ("critic",)
    needs_set: ClassVar[bool] = False
    classifies: ClassVar[bool] = False

    # a network's spec; None: three hidden layers of 128 with ReLU
    critic: str | None = attrs.field(default=None, validator=_critic)

    @abstractmethod
    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of either player."""

    def prepare(self, critic: nn.Module) -> None:
        """Prepares the new critic for its constraint, in place; by default it changes nothing."""

    def fit(self, model: nn.Module, data: Dataset, threat: ThreatModel, run: Run) -> nn.Module:
        """The generator, in eval mode, with the weights whose samples were nearest to the held-out examples."""
        critic = self.first_critic(data, run.seed).to(run.device)
        run.processes.agree(critic)
        first = Player("critic", critic, self.optimizer(critic.parameters()))
        game = Game(self, first, Player("generator", model, self.optimizer(model.parameters())), run, data)
        for _ in run.epochs():
            model.train()
            for batch in run.batches(data):
                game.play(batch)
            game.close_epoch()
        return game.finish()

    def check(self, model: nn.Module, data: Dataset, threat: ThreatModel) -> int:
        """The number of the data's classes. Raises ``InputError`` where generator, critic and data do not fit each other."""
        weight = next(model.parameters(), data.inputs)
        wanted, noise = tuple(data.inputs.shape[1:]), torch.zeros(2, self.latent).to(weight)
        made = _output_of(model, noise, "the generator", f"give the size of its noise, now latent={self.latent}")
        if tuple(made.shape) != (2, *wanted):
            raise InputError(
                f"the generator makes {tuple(made.shape)} of noise {tuple(noise.shape)}; allowed is the shape of "
                f"{data.name}, {(2, *wanted)}"
            )
        values = _output_of(self.first_critic(data, 0), data.inputs[:1], "the critic", "give another critic")
        if values.numel() != 1:
            raise InputError(f"the critic gives {tuple(values.shape)} for one input; allowed is one number for each")
        return data.classes

    def first_critic(self, data: Dataset, seed: int) -> nn.Module:
        """The critic with its first weights, which depend on the seed alone, in training mode."""
        spec = self.critic or f"mlp({data.inputs[0].numel()}, 128, 128, 128, 1)"
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derive(seed, self.seed, "critic") % 2**63)
            critic = load_model(spec).to(data.inputs.dtype)
            self.prepare(critic)
        return critic.train()

    def unused_slots(self) -> frozenset[str]:
        """All slots except the transforms of the data, and every option of the optimiser except the schedule of its rate."""
        return (SLOTS - {"transforms"}) | _OPTIONS


def _output_of(network: nn.Module, x: Tensor, name: str, remedy: str) -> Tensor:
    with evaluating(network), torch.no_grad():
        try:
            return network(x)  # type: ignore[no-any-return]
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{name} fails on an input of shape {tuple(x.shape)} ({reason}); {remedy}") from error
