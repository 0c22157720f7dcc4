"""A run that was killed goes on as if it had not been, to the bit, whatever its parts keep."""

import os
from itertools import count

import attrs
import pytest
import torch
from run_toys import Probe, blobs, fit, lines, network, values, weights
from slot_toys import Ahead, Doubling, Half, Mistaken, Mixed, Plain, Scale, Watch, same

import inradius
from inradius.training import checkpoint

SLOTS = {
    "transforms": [Mixed()],
    "sampler": Mistaken(),
    "regularizers": [Scale(weight=Doubling())],
    "update": Ahead(),
    "monitors": [Watch(action="back")],
    "radius": Half(),
}


class KilledError(Exception):
    """A run that was stopped from outside."""


@attrs.frozen(kw_only=True)
class Mortal(Plain):
    """Trains on what an attack finds, and remembers a tensor; it dies when the clock says so."""

    name = "mortal"

    def loss(self, model, batch, threat, run):
        CLOCK.tick(run.epoch)
        memory = run.memory(self)
        memory["mean"] = 0.9 * memory.get("mean", torch.zeros(2)) + batch.inputs.mean(0)
        attack = inradius.make("pgd(steps=2)", inradius.Attack)
        views = run.views(model, batch, inradius.InnerProblem(attack=attack, threat=threat))
        losses = inradius.training.losses.cross_entropy(views.attacked(model), batch)
        # also the clean logits, which the penalty and the sampler look at
        return losses + 0.1 * (views.clean(model) * memory["mean"]).sum(1)


class Clock:
    """Counts the steps of an epoch, and kills."""

    def __init__(self):
        self.wait()

    def wait(self, epoch=None, step=0):
        self.epoch, self.left = epoch, step

    def tick(self, epoch):
        if epoch == self.epoch:
            self.left -= 1
            if self.left < 0:
                raise KilledError


CLOCK = Clock()


def train(folder, **options):
    return fit(folder, Mortal(), epochs=4, **options)


@pytest.mark.parametrize("options", [SLOTS, {"optimizer": "sgd", "ema": 0.5}, {"precision": "float16", "clip": 1.0}])
@pytest.mark.parametrize("epoch", range(4))
def test_a_run_that_was_killed_in_an_epoch_goes_on_to_the_same_bits(tmp_path, options, epoch):
    whole = train(tmp_path / "whole", **options)
    CLOCK.wait(epoch, 2)
    with pytest.raises(KilledError):
        train(tmp_path / "part", **options)
    CLOCK.wait()
    assert same(train(tmp_path / "part", **options), whole)
    assert values(tmp_path / "part") == values(tmp_path / "whole")
    for name in ("best", "last", *(["ema"] if "ema" in options else [])):
        one, two = ((tmp_path / folder / f"{name}.safetensors").read_bytes() for folder in ("part", "whole"))
        assert one == two


def test_a_run_may_be_killed_between_any_two_files(tmp_path, monkeypatch):
    options = SLOTS | {"ema": 0.9}
    whole = train(tmp_path / "whole", **options)
    written, replace = count(), os.replace

    def killed(path, target):
        if next(written) % 3 == 2:
            raise KilledError
        return replace(path, target)

    monkeypatch.setattr("os.replace", killed)
    for _ in range(40):
        try:
            resumed = train(tmp_path / "part", **options)
        except KilledError:
            continue
        break
    assert same(resumed, whole)
    assert values(tmp_path / "part") == values(tmp_path / "whole")
    names = {path.name for path in (tmp_path / "whole").glob("*.safetensors")}
    assert names == {"best.safetensors", "last.safetensors", "ema.safetensors"}
    for name in names:
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_files_that_were_lost_are_written_again(tmp_path):
    train(tmp_path)
    last = (tmp_path / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").unlink()
    (tmp_path / "metrics.jsonl").write_text("")
    train(tmp_path)
    assert (tmp_path / "last.safetensors").read_bytes() == last
    assert len(lines(tmp_path)) == 4


def test_an_epoch_that_is_rolled_back_is_not_the_best(tmp_path):
    scores = (0.5, 1.0, 0.6, 0.0)
    fit(tmp_path, Probe(scores=scores), epochs=4, monitors=[Watch(action="back")])
    # state and file agree on the third epoch
    state = checkpoint.load_state(tmp_path / "state.pt", torch.device("cpu"))
    assert (state["best"]["epoch"], state["best"]["score"]) == (2, pytest.approx(4 / 6))
    kept = torch.cat([value.flatten() for value in state["best"]["weights"].values()])
    assert torch.equal(kept, weights(tmp_path / "best.safetensors"))


def test_averaged_weights_follow_the_decay_and_are_the_ones_that_are_kept(tmp_path):
    steps = []

    @attrs.frozen(kw_only=True)
    class Spy(Plain):
        def step(self, model, batch, threat, run):
            super().step(model, batch, threat, run)
            steps.append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))

    model = fit(tmp_path, Spy(), ema=0.75, epochs=1, data=blobs(40), validation=0)
    average = steps[0]
    for step in steps[1:]:
        average = 0.75 * average + 0.25 * step
    found = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(found, average, rtol=1e-5, atol=1e-6)
    assert torch.equal(weights(tmp_path / "ema.safetensors"), weights(tmp_path / "best.safetensors"))
    torch.testing.assert_close(weights(tmp_path / "last.safetensors"), steps[-1])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_learns_and_keeps_weights_whole(tmp_path, precision):
    seen = set()

    @attrs.frozen(kw_only=True)
    class Spy(Plain):
        def loss(self, model, batch, threat, run):
            seen.add(model(batch.inputs).dtype)
            losses = super().loss(model, batch, threat, run)
            assert losses.dtype == torch.float32
            return losses

    model = fit(tmp_path, Spy(), precision=precision, epochs=15)
    data = blobs(seed=1)
    assert seen == {getattr(torch, precision)}
    assert all(p.dtype == torch.float32 and not p._backward_hooks for p in model.parameters())
    assert (model(data.inputs).argmax(1) == data.labels).float().mean() > 0.95


def test_an_overflow_skips_the_step_and_halves_the_scale(tmp_path):
    @attrs.frozen(kw_only=True)
    class Steep(Plain):
        def loss(self, model, batch, threat, run):
            losses = super().loss(model, batch, threat, run)
            # its gradient in float16 overflows at the first scale
            return losses * 200

    fit(tmp_path, Steep(), precision="float16", epochs=2, clip=1.0, validation=0)
    state = checkpoint.load_state(tmp_path / "state.pt", torch.device("cpu"))
    assert lines(tmp_path)[0]["skipped"] == 1.0
    assert state["optimisation"]["precision"]["scale"] < 2.0**16
    assert state["optimisation"]["precision"]["good"] > 0


def test_a_scaled_gradient_is_the_gradient(tmp_path):
    """Directions, updates and clipping see gradients without the scale."""
    plain = fit(tmp_path / "plain", Plain(), model=flat(), optimizer="sgd", epochs=2, clip=0.1)
    scaled = fit(tmp_path / "scaled", Plain(), model=flat(), optimizer="sgd", epochs=2, clip=0.1, precision="float16")
    for a, b in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def flat():
    model = network()
    model[2] = torch.nn.Identity()
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema": 1.0}, "ema=1.0 is not allowed; allowed is a number above 0 and below 1"),
        ({"precision": "float8"}, "precision='float8' is not known; allowed are float32, bfloat16, float16"),
        ({"compile": 1}, "compile=1 is not allowed"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, message):
    with pytest.raises(inradius.SpecError, match=message):
        fit(tmp_path, Plain(), **options)


def test_gradients_of_gradients_are_refused_where_there_are_none(tmp_path):
    @attrs.frozen(kw_only=True)
    class Curved(Scale):
        second_order = True

    for options in ({"precision": "float16"}, {"compile": True}):
        with pytest.raises(inradius.SpecError, match="takes gradients of gradients"):
            fit(tmp_path, Plain(), regularizers=[Curved()], **options)


def test_without_a_compiler_the_reason_is_told(tmp_path, monkeypatch):
    def broken(model):
        def call(inputs):
            raise RuntimeError("no compiler was found")

        model._compiled_call_impl = call

    monkeypatch.setattr(torch.nn.Module, "compile", broken)
    model = network()
    with pytest.raises(inradius.UnsupportedError, match=r"no compiler was found.*install a C\+\+ compiler, or leave"):
        fit(tmp_path, Plain(), model=model, compile=True)
    assert model._compiled_call_impl is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_run_learns_the_same(tmp_path):
    plain = fit(tmp_path / "plain", Plain(), model=flat(), epochs=2)
    quick = fit(tmp_path / "quick", Plain(), model=flat(), epochs=2, compile=True)
    for a, b in zip(plain.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
