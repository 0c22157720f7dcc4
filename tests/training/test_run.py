"""The engine of training: what a run writes, repeats, resumes and refuses."""

import inspect
import json

import attrs
import pytest
import torch
from run_toys import SET, Probe, blobs, engine, fit, lines, network, weights
from torch import nn

import inradius
from inradius import load_weights
from inradius.rng import ExampleRNG
from inradius.stored.files import write_atomic
from inradius.training.recipe import Recipe
from inradius.training.run import Run
from inradius.training.slots import Schedule


def test_training_learns_and_leaves_its_files(tmp_path):
    before = network()
    model = fit(tmp_path, epochs=15)
    data = blobs(seed=1)
    assert (model(data.inputs).argmax(1) == data.labels).float().mean() > 0.95
    assert (before(data.inputs).argmax(1) == data.labels).float().mean() < 0.95
    assert not model.training
    assert {file.name for file in tmp_path.iterdir()} == {
        "run.json", "run-files.json", "metrics.jsonl", "state.pt", "last.safetensors", "best.safetensors",
    }  # fmt: skip
    assert [line["epoch"] for line in lines(tmp_path)] == list(range(1, 16))
    assert lines(tmp_path)[-1]["loss"] < lines(tmp_path)[0]["loss"]


def test_record_names_every_spec_the_seed_and_the_environment(tmp_path):
    fit(tmp_path, seed=3)
    record = json.loads((tmp_path / "run.json").read_text())
    settings = record["settings"]
    assert settings["threat"] == inradius.make(SET).spec(full=True)
    assert settings["defense"] == Probe().spec(full=True)
    assert (settings["seed"], settings["data"], settings["epochs"]) == (3, "blobs", 3)
    assert record["environment"]["torch"] == torch.__version__
    assert record["result"]["held_out"] == 6
    assert record["command"]


def test_the_best_epoch_is_returned_and_the_last_is_kept(tmp_path):
    model = fit(tmp_path, Probe(scores=(0.5, 1.0, 0.0)))
    best, last = weights(tmp_path / "best.safetensors"), weights(tmp_path / "last.safetensors")
    assert not torch.equal(best, last)
    assert torch.equal(torch.cat([value.flatten() for value in model.state_dict().values()]), best)
    result = json.loads((tmp_path / "run.json").read_text())["result"]
    assert (result["best_epoch"], result["best_score"]) == (2, 1.0)


def test_a_tie_goes_to_the_later_epoch(tmp_path):
    fit(tmp_path, Probe(scores=(1.0, 1.0, 0.0)))
    assert json.loads((tmp_path / "run.json").read_text())["result"]["best_epoch"] == 2


def test_without_validation_the_last_weights_are_the_best(tmp_path):
    fit(tmp_path, validation=0)
    assert torch.equal(weights(tmp_path / "best.safetensors"), weights(tmp_path / "last.safetensors"))
    assert "score" not in lines(tmp_path)[0]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_equal_seeds_give_equal_bits(tmp_path, optimizer):
    torch.manual_seed(1)
    first = fit(tmp_path / "a", optimizer=optimizer).state_dict()
    torch.manual_seed(2)
    second = fit(tmp_path / "b", optimizer=optimizer).state_dict()
    other = fit(tmp_path / "c", optimizer=optimizer, seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_each_optimiser_has_its_usual_rate(tmp_path):
    for optimizer, rate in (("adam", 1e-3), ("adamw", 1e-3), ("sgd", 0.1)):
        fit(tmp_path / optimizer, optimizer=optimizer, lr=None, epochs=1)
        assert json.loads((tmp_path / optimizer / "run.json").read_text())["settings"]["lr"] == rate


def test_training_leaves_the_global_random_state_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path):
    class Stop(BaseException):
        pass

    @attrs.frozen(kw_only=True)
    class Interrupted(Probe):
        def loss(self, model, batch, threat, run):
            if run.epoch == 2:
                raise Stop
            return super().loss(model, batch, threat, run)

    whole = fit(tmp_path / "whole", epochs=4)
    with pytest.raises(Stop):
        fit(tmp_path / "part", Interrupted(), epochs=4)
    assert len(lines(tmp_path / "part")) == 2
    resumed = fit(tmp_path / "part", epochs=4)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    for name in ("loss", "score", "lr"):
        assert [line[name] for line in lines(tmp_path / "part")] == [line[name] for line in lines(tmp_path / "whole")]


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = fit(tmp_path)
    before = (tmp_path / "metrics.jsonl").stat().st_mtime_ns
    again = fit(tmp_path)
    assert (tmp_path / "metrics.jsonl").stat().st_mtime_ns == before
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_folder_of_another_run_is_refused_unless_fresh(tmp_path):
    fit(tmp_path)
    with pytest.raises(inradius.InputError, match=r"holds a run with lr=0.05, not 0.01; give another folder, or fresh"):
        fit(tmp_path, lr=0.01)
    with pytest.raises(inradius.InputError, match="examples="):
        fit(tmp_path, data=blobs(seed=4))
    fit(tmp_path, lr=0.01, fresh=True)
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["lr"] == 0.01


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(inradius.InputError, match="cannot be written"):
        fit(tmp_path / "file" / "run")


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_divergence_stops_and_keeps_the_last_good_weights(tmp_path, factor):
    whole, model = tmp_path / "whole", network()
    fit(whole, epochs=1)
    with pytest.raises(
        inradius.DivergenceError, match=r"the loss is (nan|inf) in epoch 2; the weights after epoch 1 are in"
    ):
        fit(tmp_path / "bad", Probe(bad_epoch=1, factor=factor), model=model, schedule="constant")
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert torch.isfinite(weights(tmp_path / "bad" / "last.safetensors")).all()


def test_a_gradient_that_is_not_finite_stops_before_the_step(tmp_path):
    @attrs.frozen(kw_only=True)
    class Cliff(Probe):
        def loss(self, model, batch, threat, run):
            # finite, with an infinite slope
            return (model(batch.inputs).sum(1) * 0).abs().sqrt()

    model = network()
    with pytest.raises(inradius.DivergenceError, match=r"gradient's norm is nan in epoch 1; no epoch was finished"):
        fit(tmp_path, Cliff(), model=model)
    assert torch.equal(model[0].weight, network()[0].weight)


def test_a_reduced_loss_is_refused(tmp_path):
    @attrs.frozen(kw_only=True)
    class Reduced(Probe):
        def loss(self, model, batch, threat, run):
            return super().loss(model, batch, threat, run).mean()

    with pytest.raises(inradius.PluginError, match="one number per example"):
        fit(tmp_path, Reduced())


def test_validation_split_is_disjoint_fixed_and_a_share():
    data = blobs(50)
    recipe = Recipe(validation=0.3, seed=4)
    training, held_out = recipe.split(data)
    assert len(held_out) == 15
    assert sorted(torch.cat([training.index, held_out.index]).tolist()) == list(range(50))
    again = attrs.evolve(recipe, epochs=7, batch_size=3, lr=1.0).split(data)[1]
    assert torch.equal(again.index, held_out.index)
    assert not torch.equal(attrs.evolve(recipe, seed=5).split(data)[1].index, held_out.index)


def test_no_gradient_comes_from_a_held_out_example(tmp_path):
    seen, scored = set(), set()

    @attrs.frozen(kw_only=True)
    class Spy(Probe):
        def loss(self, model, batch, threat, run):
            seen.update(batch.index.tolist())
            return super().loss(model, batch, threat, run)

        def score(self, model, batch, threat, run):
            assert not model.training
            assert not torch.is_grad_enabled()
            scored.update(batch.index.tolist())
            return super().score(model, batch, threat, run)

    fit(tmp_path, Spy())
    assert not seen & scored
    assert seen | scored == set(range(60))


def schedule(spec):
    return inradius.make(spec, Schedule)


def test_only_opening_a_run_reads_and_writes_its_folder(tmp_path):
    fit(tmp_path / "run", epochs=2)
    here = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    opened, _ = engine(tmp_path / "run", epochs=2)
    assert (opened.epoch, len(opened.history)) == (2, 2)
    names = ("folder", "model", "defense", "recipe", "held_out", "processes")
    for folder in (tmp_path / "run", tmp_path / "nowhere"):
        made = Run(**{name: getattr(opened, name) for name in names} | {"folder": folder})
        assert (made.epoch, made.history) == (0, [])
    assert not (tmp_path / "nowhere").exists()
    assert here == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}


def test_the_options_of_train_are_the_fields_of_the_recipe(tmp_path):
    shown = inspect.signature(inradius.train).parameters
    fields = attrs.fields_dict(Recipe)
    assert list(shown)[-len(fields) :] == list(fields)
    assert all(shown[name].default in (field.default, None) for name, field in fields.items())
    with pytest.raises(inradius.SpecError, match=r"train: there is no option 'epoch'; allowed are epochs, batch_size"):
        fit(tmp_path, epoch=3)
    with pytest.raises(inradius.SpecError, match="epochs=None is not allowed"):
        fit(tmp_path, epochs=None)


def test_an_option_that_is_left_open_is_the_recipes_own(tmp_path):
    left_open = {"sampler": None, "update": None, "schedule": None, "transforms": None, "monitors": []}
    fit(tmp_path / "open", **left_open)
    fit(tmp_path / "plain")
    one, two = (json.loads((tmp_path / name / "run.json").read_text())["settings"] for name in ("open", "plain"))
    assert one == two


def test_batches_cover_the_data_in_an_order_of_the_epoch_and_in_nearly_equal_sizes(tmp_path):
    run, data = engine(tmp_path)
    orders = []
    for _ in run.epochs():
        batches = list(run.batches(data))
        assert {len(batch) for batch in batches} == {12, 13}
        orders.append(torch.cat([batch.index for batch in batches]).tolist())
        for batch in batches:
            assert torch.equal(batch.inputs, data.inputs[batch.index])
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_progress_grows_from_0_to_1(tmp_path):
    run, data = engine(tmp_path)
    shares = [run.progress for _ in run.epochs() for _ in run.batches(data)]
    assert shares == [step / 16 for step in range(16)]
    assert run.progress == 1


def test_attacks_get_random_numbers_of_the_epoch(tmp_path):
    run, _ = engine(tmp_path)
    attack = inradius.make("pgd(seed=3)")
    first = run.reseeded(attack)
    assert first == run.reseeded(attack)
    run.epoch = 1
    assert run.reseeded(attack).seed != first.seed
    assert attrs.evolve(first, seed=3) == attack


def test_clipping_bounds_the_gradient(tmp_path):
    run, data = engine(tmp_path, clip=0.01)
    run.descend(1000 * run.defense.loss(run.model, data, None, run))
    squares = sum(float(p.grad.square().sum()) for p in run.model.parameters())
    assert squares**0.5 == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "steps", "cyclic"])
def test_schedules_stay_within_the_first_rate(name):
    rates = [Recipe(schedule=schedule(name), lr=2.0).rate(step / 100) for step in range(101)]
    assert all(0 <= rate <= 2 for rate in rates)
    assert max(rates) == 2


def test_schedule_values():
    assert Recipe(schedule=schedule("cosine")).rate(0.5) == pytest.approx(5e-4)
    assert Recipe(schedule=schedule("linear"), lr=0.1).rate(0.25) == pytest.approx(0.075)
    assert [Recipe(schedule=schedule("steps"), lr=1.0).rate(t) for t in (0.49, 0.5, 0.75)] == [1.0, 0.1, 0.01]
    assert Recipe(schedule=schedule("cyclic"), lr=1.0).rate(0.2) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0 is not allowed"),
        ({"optimizer": "lion"}, "optimizer='lion' is not known; allowed are adam, adamw, sgd"),
        ({"schedule": "wave"}, "'wave' is not a known name"),
        ({"lr": -1.0}, "lr=-1.0 is not allowed"),
        ({"validation": 1.0}, "validation=1.0 is not allowed"),
        ({"transforms": ["cosine()"]}, "but a Transform is needed here"),
        ({"transforms": ["shift(0)"]}, "pixels=0 is not allowed"),
    ],
)
def test_wrong_settings_are_named(tmp_path, options, message):
    with pytest.raises(inradius.SpecError, match=message.replace("(", r"\(")):
        fit(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (blobs(0), "blobs has no examples"),
        (attrs.evolve(blobs(), labels=blobs().labels + 1), "label 2 of blobs is out of range"),
        (attrs.evolve(blobs(), inputs=blobs().inputs * torch.nan), "NaN"),
        (attrs.evolve(blobs(), inputs=blobs().inputs + 1), r"allows \[0, 1\]"),
        (blobs(1), "leaves none to train on"),
    ],
)
def test_wrong_data_is_named(tmp_path, data, message):
    with pytest.raises(inradius.InputError, match=message):
        fit(tmp_path / "run", data=data)


def shift(pixels, batch, rng):
    return inradius.make(f"shift({pixels})")(batch, rng, 2)


def test_shift_moves_each_image_by_its_own_numbers():
    image = torch.zeros(3, 1, 5, 5, dtype=torch.float64)
    image[:, :, 2, 2] = 1
    batch = inradius.Dataset.of(image, torch.zeros(3))
    moved = shift(2, batch, ExampleRNG(0, batch.index)).inputs
    assert moved.shape == image.shape
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))
    tail = batch.select(slice(1, None))
    assert torch.equal(shift(2, tail, ExampleRNG(0, tail.index)).inputs, moved[1:])
    places = {shift(2, batch, ExampleRNG(seed, batch.index)).inputs[0].flatten().argmax().item() for seed in range(200)}
    assert places == set(range(25))


def test_shift_fills_with_the_lowest_valid_value():
    batch = inradius.Dataset.of(torch.ones(64, 1, 3, 3), torch.zeros(64), bounds=(-1.0, 1.0))
    moved = shift(1, batch, ExampleRNG(0, batch.index)).inputs
    assert set(moved.unique().tolist()) == {-1.0, 1.0}


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    fit(tmp_path / "run")
    with pytest.raises(inradius.InputError, match=r"do not fit Sequential: the file lacks 1\.weight, 1\.bias"):
        load_weights(nn.Sequential(nn.Identity(), nn.Linear(2, 2)), tmp_path / "run" / "best.safetensors")
    with pytest.raises(
        inradius.InputError, match=r"has 0\.weight of shape \(8, 2\) where \(4, 2\) is needed and has 0\.bias"
    ):
        load_weights(
            nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.ReLU(), nn.Linear(8, 2)), tmp_path / "run" / "best.safetensors"
        )
    path.write_bytes(b"not safetensors")
    with pytest.raises(inradius.InputError, match="cannot be read"):
        load_weights(network(), path)


def test_a_killed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"


def test_the_progress_bar_tells_where_training_stands(tmp_path, capsys):
    fit(tmp_path, progress=True)
    assert "3 epochs, best score 1.0000" in capsys.readouterr().out
