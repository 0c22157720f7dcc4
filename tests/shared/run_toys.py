"""Two blobs of points, a small network, and a defense that can be made to fail: for the tests of training runs."""

import json

import attrs
import torch
from torch import nn

import inradius
from inradius import load_weights
from inradius.processes import Processes
from inradius.stored.reading import records
from inradius.training.recipe import Recipe
from inradius.training.run import Run

SET = "linf(eps=0.05)"


def blobs(count=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    inputs = 0.3 + 0.4 * labels[:, None] + 0.2 * torch.rand(count, 2, generator=generator) - 0.1
    return inradius.Dataset.of(inputs, labels, name="blobs")


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


@attrs.frozen(kw_only=True)
class Probe(inradius.Defense):
    """Plain training whose scores are given, and which can be made to fail in an epoch."""

    name = "probe"

    scores: tuple = ()
    bad_epoch: int | None = None
    factor: float = float("nan")

    def loss(self, model, batch, threat, run):
        losses = nn.functional.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
        return losses * self.factor if run.epoch == self.bad_epoch else losses

    def score(self, model, batch, threat, run):
        share = self.scores[run.epoch] if self.scores else 1.0
        return torch.arange(len(batch)) < share * len(batch)


def fit(folder, defense=None, *, model=None, data=None, **options):
    options = {"epochs": 3, "batch_size": 16, "lr": 0.05, "device": "cpu"} | options
    return inradius.train(
        defense or Probe(), model or network(), blobs() if data is None else data, SET, folder=folder, **options
    )


def weights(path):
    model = network(seed=9)
    load_weights(model, path)
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def lines(folder):
    return records(folder / "metrics.jsonl")


def engine(folder, **options):
    model, data = network(), blobs(50)
    recipe = Recipe(**({"epochs": 4, "batch_size": 16} | options))
    processes = Processes(None, torch.device("cpu"))
    run = Run.open(folder, model=model, defense=Probe(), recipe=recipe, held_out=data.take(0), processes=processes)
    return run, data


def values(folder):
    """The numbers of each epoch that are not times."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(folder)]


SCORES = [0.5, 0.7, 0.9, 0.6, 0.65]


def write_run(folder, scores=SCORES, rolled_back=(), **more):
    """The lines of a run with these scores, and other numbers besides."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for place, score in enumerate(scores):
        line = {"epoch": place + 1, "loss": 1 / (place + 1), "lr": 0.1, **({} if score is None else {"score": score})}
        line |= {name.replace("__", "/"): value for name, value in more.items()} | {"seconds": 1.0}
        lines.append(line | ({"rolled_back": 1.0} if place + 1 in rolled_back else {}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
