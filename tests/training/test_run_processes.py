"""Data-parallel training: two processes take the steps that one takes.

Sums are taken in another order, so losses and weights agree to 1e-4, relative to the largest; the gradients' signs in an
attack may differ by that, which is why the attacks here take steps along the gradient.
"""

import os
import subprocess
import sys

import pytest
import torch

import inradius
from inradius import load_weights
from inradius.stored.reading import records

PARTS = '''
import os, sys, attrs, torch, inradius
from inradius.training.losses import cross_entropy
from inradius.training.slots import Direction, Monitor, Sampler

component = attrs.frozen(kw_only=True)
dies = False

@component
class Several(inradius.Defense):
    """Under two attacks; it remembers this process's part of the batch."""
    def loss(self, model, batch, threat, run):
        attacks = ["pgd(steps=2, step=0.1, direction='gradient', random_start=False, keep_maximising=True)", "fgsm()"]
        found = [inradius.InnerProblem(attack=inradius.make(a, inradius.Attack), threat=threat) for a in attacks]
        views = run.views(model, batch, found)
        if dies and run.epoch == 1:
            raise KeyboardInterrupt
        kept = run.memory(self)
        assert run.epoch == 0 or kept["rank"] == run.processes.rank
        kept["rank"] = run.processes.rank
        return cross_entropy(views.each(model), batch)

@component
class Shortest(Direction):
    """The point of least norm on the segment between two gradients."""
    def __call__(self, losses, parameters, run):
        rows = []
        for row in losses:
            for parameter in parameters:
                parameter.grad = None
            row.sum().backward(retain_graph=True)
            run.processes.sum_gradients(parameters)
            rows.append(torch.cat([p.grad.flatten() for p in parameters]))
        apart = rows[1] - rows[0]
        share = (-(rows[0] @ apart) / apart.square().sum().clamp(min=1e-12)).clamp(0, 1)
        parts = (rows[0] + share * apart).split([p.numel() for p in parameters])
        for parameter, part in zip(parameters, parts):
            parameter.grad = part.view_as(parameter)

@component
class Worst(Sampler):
    """Every second batch is of the class with the most mistakes."""
    observes = True
    def rows(self, data, run):
        counts = run.memory(self).setdefault("counts", torch.zeros(10))
        order = torch.arange(len(data)).tensor_split(run.count(data))
        for number, rows in enumerate(order):
            worst = (data.labels == int(counts.argmax())).nonzero().squeeze(1)[:33]
            yield worst if number % 2 else rows
    def observe(self, labels, mistakes, run):
        run.memory(self)["counts"].index_add_(0, labels, mistakes.float())

@component
class Loss(Monitor):
    """The mean loss on what is trained on, each process looking at its part."""
    def after_epoch(self, model, threat, run):
        mine = run.data.select(run.processes.shard(torch.arange(len(run.data))))
        with inradius.models.modes.evaluating(model), torch.no_grad():
            run.log(watched=run.mean(cross_entropy(model(mine.inputs), mine)))
        return []

torch.manual_seed(int(os.environ.get("RANK", 0)))
model = inradius.make("mlp(64, 16, 10)")
numbers = torch.Generator().manual_seed(0)
inputs = torch.rand(400, 64, generator=numbers)
data = inradius.Dataset.of(inputs, (inputs @ torch.randn(64, 10, generator=numbers)).argmax(1), name="random")
common = dict(epochs=2, device="cpu", optimizer="sgd", lr=0.05, ema=0.9, clip=1.0)
folder = sys.argv[1]
inradius.train(Several(), model, data, "linf(eps=0.05)", folder=folder, direction=Shortest(), sampler=Worst(),
               monitors=[Loss()], **common)
if os.environ.get("MORE"):
    inradius.train("certified()", "mlp(64, 16, 10)", data, "linf(eps=0.05)", folder=folder + "-certified", epochs=2, device="cpu")
    # killed in the second epoch; each process goes on with what it remembered itself
    dies = True
    try:
        inradius.train(Several(), "mlp(64, 16, 10)", data, "linf(eps=0.05)", folder=folder + "-again", **common)
    except KeyboardInterrupt:
        dies = False
    inradius.train(Several(), "mlp(64, 16, 10)", data, "linf(eps=0.05)", folder=folder + "-again", **common)
'''


def launched(tmp_path, **environment):
    script = tmp_path / "script.py"
    script.write_text(PARTS)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    started = [
        subprocess.Popen(
            [*start, str(script), str(tmp_path / folder)],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for start, folder in (([sys.executable], "one"), (launch, "two"))
    ]
    told = [process.communicate()[1] for process in started]
    assert all(process.returncode == 0 for process in started), told


def assert_agree(one, two):
    networks = [inradius.make("mlp(64, 16, 10)") for _ in range(2)]
    for name in ("last", "best"):
        for network, folder in zip(networks, (one, two), strict=True):
            load_weights(network, folder / f"{name}.safetensors")
        for a, b in zip(*(network.state_dict().values() for network in networks), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * max(1.0, float(a.abs().max())))
    for first, second in zip(*(records(folder / "metrics.jsonl") for folder in (one, two)), strict=True):
        for name in first.keys() - {"seconds"}:
            assert first[name] == pytest.approx(second[name], rel=1e-4), name


def test_two_processes_take_the_steps_of_one(tmp_path):
    launched(tmp_path)
    assert_agree(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_processes_certify_and_go_on_as_one(tmp_path):
    launched(tmp_path, MORE="1")
    assert_agree(tmp_path / "one-certified", tmp_path / "two-certified")
    assert_agree(tmp_path / "one-again", tmp_path / "two-again")
