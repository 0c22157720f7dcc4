"""A defense as a third party writes it: installed, listed, trained, stopped and gone on with."""

import pytest
import torch
from run_toys import blobs, network
from slot_toys import same
from typer.testing import CliRunner

import inradius
from inradius.cli.app import app

ACME = '''
"""Acme's defense."""
import attrs
import inradius
from inradius.training.losses import cross_entropy, kl_divergence


def _attack():
    return inradius.make("pgd(steps=3, step=0.5)", inradius.Attack)


@attrs.frozen(kw_only=True)
class AcmePairing(inradius.AdversarialDefense):
    """Cross-entropy under attack, and λ times the divergence from the mean prediction of the attacked class so far."""

    attack: inradius.Attack = attrs.field(factory=_attack)
    weight: float = 1.0

    def loss(self, model, batch, threat, run):
        views, memory = self.views(model, batch, threat, run), run.memory(self)
        logits = views.attacked(model)
        past = memory.get("past", logits.detach().mean(0))
        memory["past"] = 0.9 * past + 0.1 * logits.detach().mean(0)
        return cross_entropy(logits, batch) + self.weight * kl_divergence(logits, past.expand_as(logits))


@inradius.hookimpl
def defenses():
    return [AcmePairing]
'''


class KilledError(Exception):
    """A run that was stopped from outside."""


def train(folder, **options):
    options = {"epochs": 4, "batch_size": 16, "lr": 0.05, "device": "cpu"} | options
    return inradius.train("acme_pairing(weight=0.5)", network(), blobs(), "linf(eps=0.05)", folder=folder, **options)


def test_a_strangers_defense_is_listed_trains_and_resumes(install, tmp_path, monkeypatch):
    install("acme", "1.2", ACME)
    listed = CliRunner().invoke(app, ["list", "defenses"])
    assert "acme_pairing" in listed.output
    assert "acme 1.2" in " ".join(listed.output.split())
    whole = train(tmp_path / "whole")
    data = blobs(seed=1)
    assert (whole(data.inputs).argmax(1) == data.labels).float().mean() > 0.9

    steps = iter(range(100))
    step = torch.optim.Adam.step

    def mortal(optimizer, *arguments, **options):
        if next(steps) == 10:
            raise KilledError
        return step(optimizer, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", mortal)
    with pytest.raises(KilledError):
        train(tmp_path / "part")
    monkeypatch.undo()
    assert (tmp_path / "part" / "last.safetensors").exists()
    assert same(train(tmp_path / "part"), whole)
