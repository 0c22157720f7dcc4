"""A network, a batch and a run for the tests of defenses."""

import torch
from torch import nn

import inradius
from inradius.processes import Processes
from inradius.training.recipe import Recipe
from inradius.training.run import Run


def network(*, norm=False, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(6, 16), *([nn.BatchNorm1d(16)] if norm else []), nn.ReLU(), nn.Linear(16, 3)]
        return nn.Sequential(*layers).to(dtype)


def batch(count=12):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(count, 6, generator=generator, dtype=torch.float64)
    return inradius.Dataset.of(inputs, torch.arange(count) % 3, name="random")


def engine(folder, model, defense, progress=1.0):
    recipe = Recipe(epochs=4)
    processes = Processes(None, torch.device("cpu"))
    run = Run.open(folder, model=model, defense=defense, recipe=recipe, held_out=batch(), processes=processes)
    run.progress = progress
    return run
