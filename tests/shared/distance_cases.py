"""Networks, batches and an attack whose iterates are known, for the tests of defenses that compare predictions."""

import attrs
import torch
from torch import nn

import inradius
from inradius import Attack
from inradius.processes import Processes
from inradius.training.recipe import Recipe
from inradius.training.run import Run

LINF = inradius.make("linf(eps=0.1)", inradius.ThreatModel)
ATTACK = "attack=pgd(steps=3, step=0.5, noise=0.001, objective=kl(), keep_maximising=True)"
SPECS = [
    "trades()",
    "mart()",
    "score()",
    "fait()",
    "fait(psi='squares', lam=8)",
    "mer()",
    "mer(psi='squares', lam=10)",
    "fait_mer()",
    "hat(model='mlp(6, 3)')",
]


@attrs.frozen(kw_only=True)
class Line(Attack):
    """Ten equal steps in a direction that is the same for every example, (1, 1, −1, −1, ...), to a length in ℓ∞."""

    length: float = 0.1

    def step(self, x):
        signs = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=x.dtype).repeat(x[0].numel() // 4 + 1)[: x[0].numel()]
        return self.length * signs.view(x.shape[1:]).expand_as(x)

    def perturb(self, batch, *, observe=None):
        whole = self.step(batch.x)
        for step in range(11):
            if observe is not None:
                observe(step, whole * step / 10)
        return whole


def network(classes=3, *, norm=False, dtype=torch.float64, scale=1.0, size=6):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norms = [nn.BatchNorm1d(16)] if norm else []
        model = nn.Sequential(nn.Flatten(), nn.Linear(size, 16), *norms, nn.ReLU(), nn.Linear(16, classes)).to(dtype)
    with torch.no_grad():
        model[-1].weight *= 3 * scale
    return model


def batch(count=12, classes=3, shape=(6,), dtype=torch.float64, bounds=None):
    generator = torch.Generator().manual_seed(1)
    inputs = 0.3 + 0.4 * torch.rand(count, *shape, generator=generator, dtype=torch.float64)
    return inradius.Dataset.of(inputs.to(dtype), torch.arange(count) % classes, name="random", bounds=bounds)


def mixed(data, classes=3):
    """The batch with labels that are mixed with those of other examples."""
    sure = nn.functional.one_hot(data.labels, classes).to(data.inputs.dtype)
    return attrs.evolve(data, targets=0.7 * sure + 0.3 * sure.roll(1, 0))


def engine(folder, model, defense):
    processes = Processes(None, torch.device("cpu"))
    recipe = Recipe(epochs=4)
    return Run.open(folder, model=model, defense=defense, recipe=recipe, held_out=batch(), processes=processes)


def losses(folder, defense, *, model=None, data=None, threat=LINF, attack=None):
    """The loss of each example of a batch, in training mode; ``attack`` takes the place of the defense's own."""
    model = model or network()
    defense = inradius.make(defense, inradius.Defense)
    if attack is not None:
        defense = attrs.evolve(defense, attack=attack)
    threat = inradius.make(threat, inradius.ThreatModel)
    return defense.loss(model.train(), batch() if data is None else data, threat, engine(folder, model, defense))
