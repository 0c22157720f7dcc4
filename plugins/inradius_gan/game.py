"""The game of a run: the turns of the players, the measurements, and the choice of the generator that is kept."""

import copy
from functools import cached_property
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from inradius import Dataset, ExampleRNG, Run
from inradius.models.modes import evaluating
from inradius.rng import derive
from inradius_gan.distance import prove, wasserstein_distance
from inradius_gan.lipschitz import slopes
from inradius_gan.player import Player
from inradius_gan.rules import Rules


class Game:
    """Two players that take turns. Their state is in the run's memory after each epoch, so that a stopped run can continue."""

    def __init__(self, method: Rules, critic: Player, generator: Player, run: Run, data: Dataset) -> None:
        self.method, self.critic, self.generator, self.run, self.data = method, critic, generator, run, data
        self.memory: dict[str, Any] = run.memory(method)
        if self.memory:
            critic.load(self.memory["critic"])
            generator.load(self.memory["generator"])

    def play(self, batch: Dataset) -> None:
        """Makes the critic's step on a mini-batch, and the generator's step after the critic's last one."""
        method, run, real = self.method, self.run, batch.inputs
        rng = ExampleRNG(derive(run.seed, method.seed, "noise", run.epoch), batch.index)
        rate = method.lr * run.recipe.schedule(run.progress)
        with torch.no_grad():
            fake = self.generator.network(self._noise(rng.fork(0), real))
        of_real, of_fake = self._values(torch.cat([real, fake])).chunk(2)
        losses = method.critic_losses(of_real, of_fake) + method.penalty(self.critic.network, real, fake, rng.fork(1))
        mean = self.critic.descend(losses, run, rate)
        method.confine(self.critic.network)
        run.log(critic=mean, lr=rate)
        self.memory["turn"] = self.memory.get("turn", 0) + 1
        if self.memory["turn"] == method.critic_steps:
            self.memory["turn"] = 0
            made = self.generator.network(self._noise(rng.fork(2), real))
            run.log(generator=self.generator.descend(method.generator_losses(self._values(made)), run, rate))
        run.display(run.progress, f"epoch {run.epoch + 1}/{run.recipe.epochs}, critic {mean:.4f}")

    def _noise(self, rng: ExampleRNG, like: Tensor) -> Tensor:
        return rng.normal((self.method.latent,), dtype=like.dtype)

    def _values(self, x: Tensor) -> Tensor:
        """The critic's value of each input, (B,)."""
        return self.critic.network(x).flatten()  # type: ignore[no-any-return]

    @cached_property
    def _examples(self) -> Dataset:
        """The examples that generated samples are compared with: held-out ones, or training examples where none are held out."""
        given = self.run.held_out if len(self.run.held_out) else self.data
        return given.take(self.method.samples).to(self.run.device)

    def close_epoch(self) -> None:
        """Measures both players, keeps the generator where it is the best so far, and writes their state into the run's memory."""
        measured = self._measured()
        self.run.log(**measured)
        self.memory.update(critic=self.critic.state(), generator=self.generator.state())
        if not len(self.run.held_out):
            return
        best, score = self.memory.get("best"), -measured["w1"]
        self.run.log(score=score)
        if best is None or score >= best["score"]:
            weights = {name: value.clone() for name, value in self.generator.network.state_dict().items()}
            self.memory["best"] = {"score": score, "epoch": self.run.epoch, "weights": weights}

    def _measured(self) -> dict[str, float]:
        """The numbers of an epoch by name.

        w1: the exact distance of examples and as many generated samples. The fields of ``CriticBounds``: lower bounds
        on it from the critic. slope: the critic's mean gradient norm between the two samples. Those of the method.
        """
        real, networks = self._examples.inputs, (self.critic.network, self.generator.network)
        rng = ExampleRNG(derive(self.run.seed, self.method.seed, "measured"), self._examples.index)
        with evaluating(networks[0]), evaluating(networks[1]):
            with torch.no_grad():
                fake = networks[1](self._noise(rng.fork(0), real))
                own = self.method.measured(self._values(real), self._values(fake))
            proof = prove(networks[0], real, fake)
            slope = float(slopes(networks[0], between(real, fake, rng.fork(1))).mean())
        return {"w1": wasserstein_distance(real, fake), **attrs.asdict(proof), "slope": slope, **own}

    def finish(self) -> nn.Module:
        """The generator with its best weights. The critic's last weights are saved in ``critic.safetensors``."""
        from safetensors.torch import save_file

        run, best = self.run, self.memory.get("best")
        if run.processes.main:
            save_file(plain_weights(self.critic.network), run.folder / "critic.safetensors")
        if best is not None:
            self.generator.network.load_state_dict(best["weights"])
        trained = run.finish(self.generator.network)
        if best is not None:
            run.best_score, run.best_epoch = best["score"], best["epoch"]
        return trained


def between(real: Tensor, fake: Tensor, rng: ExampleRNG) -> Tensor:
    """A uniform random point on the segment of each pair, (B, *S)."""
    share = rng.uniform((1,) * (real.ndim - 1), dtype=real.dtype)
    return share * real + (1 - share) * fake


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """The effective weights, by their names in a network without parametrizations."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    return {name: value.detach().cpu().clone() for name, value in copied.state_dict().items()}
