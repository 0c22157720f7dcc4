"""A set, attacks and certifiers for linear models, small enough to be right at sight; and one that is wrong."""

import os
import signal

import attrs
import torch
from torch import nn

import inradius
from inradius import Attack, Bounds, Certifier, Dataset, ThreatModel
from inradius.sets.arithmetic.pairing import dual_pairing

CALLS = {"count": 0}


@attrs.frozen(kw_only=True)
class Cube(ThreatModel):
    """‖δ‖_inf ≤ eps, without a box of valid inputs."""

    eps: float

    @property
    def radius(self):
        return self.eps

    @property
    def convex(self):
        return True

    @property
    def tight(self):
        return True

    def project(self, delta, x):
        return delta.clamp(-self.eps, self.eps)

    def linear_max(self, c, x):
        return c.sign() * self.eps

    def gauge(self, delta, x):
        reach = delta.abs().flatten(1).amax(1)
        return reach / self.eps if self.eps else torch.where(reach > 0, torch.inf, 0.0).to(reach)

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps * factor)


@attrs.frozen(kw_only=True)
class ShortCube(Cube):
    """The cube with a support function that says 0.9 of the truth."""

    def support(self, c, x):
        return 0.9 * dual_pairing(c, c.sign() * self.eps)


@attrs.frozen(kw_only=True)
class Corner(Attack):
    """The best perturbation for a linear model: for each wrong class the corner, and of these the worst."""

    def perturb(self, batch, *, observe=None):
        CALLS["count"] += 1
        if CALLS["count"] == int(os.environ.get("TOYS_KILL_AT", "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        best, lowest = torch.zeros_like(batch.x), torch.full((len(batch.x),), torch.inf, dtype=batch.x.dtype)
        inputs = batch.x.clone().requires_grad_()
        logits = batch.model(inputs)
        for other in range(logits.shape[1]):
            margins = logits.gather(1, batch.y[:, None])[:, 0] - logits[:, other]
            (gradient,) = torch.autograd.grad(margins.sum(), inputs, retain_graph=True)
            delta = batch.threat.linear_max(-gradient, batch.x)
            with torch.no_grad():
                reached = batch.model(batch.x + delta)
                value = reached.gather(1, batch.y[:, None])[:, 0] - reached[:, other]
                better = (value < lowest) & (other != batch.y)
            best[better], lowest[better] = delta[better], value[better]
        return best


@attrs.frozen(kw_only=True)
class Guess(Attack):
    """A random member, of several the same for all batches."""

    def perturb(self, batch, *, observe=None):
        return batch.threat.sample(batch.x, rng=batch.rng)


@attrs.frozen(kw_only=True)
class Escape(Attack):
    """Twice what is allowed."""

    minimal = True

    def perturb(self, batch, *, observe=None):
        return 2 * batch.threat.linear_max(torch.ones_like(batch.x), batch.x)


@attrs.frozen(kw_only=True)
class Exact(Certifier):
    """The true minimum for a linear model, less ``loss``; ``doubt`` is the chance that it is wrong.

    The error that is assumed of it is far more than such a model's own rounding, so that it speaks of every float execution.
    """

    loss: float = 0.0
    doubt: float = 0.0

    def lower_bound(self, model, x, threat, prop, rng):
        CALLS["count"] += 1
        if CALLS["count"] == int(os.environ.get("TOYS_KILL_AT", "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        rows = prop.weights @ model.weight
        center = (prop.weights @ model(x)[..., None])[..., 0] + prop.offsets
        return Bounds(center - threat.support(-rows, x) - self.loss, failure_probability=self.doubt, claim="float")


@attrs.frozen(kw_only=True)
class Refuter(Certifier):
    """The true minimum for a linear model, and where it is ≤ 0 the corner that has it, ``stretch`` times as far from x."""

    stretch: float = 1.0

    def lower_bound(self, model, x, threat, prop, rng):
        rows = prop.weights @ model.weight
        value = (prop.weights @ model(x)[..., None])[..., 0] + prop.offsets - threat.support(-rows, x)
        lowest = value.argmin(1)
        corner = self.stretch * threat.linear_max(-rows[torch.arange(len(x)), lowest], x)
        witness = torch.where((value.amin(1) <= 0)[:, None], corner, torch.nan)
        return Bounds(value, error=torch.zeros_like(value), claim="float", witness=witness)


@attrs.frozen(kw_only=True)
class Liar(Certifier):
    """Certifies everything, with some chance of error."""

    doubt: float = 0.01

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.ones_like(prop.offsets), failure_probability=self.doubt)


def linear(dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(5, 3, dtype=dtype)


def cloud(count=80, dtype=torch.float64, seed=0):
    """Points with the labels of the model above, a tenth of them changed."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, generator=generator, dtype=dtype)
    labels = linear(dtype)(x).argmax(1)
    labels[::10] = (labels[::10] + 1) % 3
    return Dataset.of(x, labels, bounds=None, name="cloud")


def run(folder, **options):
    """The bracket of all toys that are right."""
    methods = {"attacks": [Guess(), Corner()], "certifiers": [Exact(loss=0.3), Exact(loss=0.05)], "batch_size": 16}
    parts = {"model": linear(), "data": cloud(), "threat": Cube(eps=0.2), **methods, "folder": folder, **options}
    return inradius.bracket(parts.pop("model"), parts.pop("data"), parts.pop("threat"), **parts)
