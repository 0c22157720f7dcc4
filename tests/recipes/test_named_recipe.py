"""Recipes are read in one sentence or not at all; each runs at its paper's scale on files of the right format."""

import json
import re

import pytest
import torch
from paper_files import write_all, write_cifar10

import inradius
from inradius import Dataset, InputError, SpecError
from inradius.cli import run
from inradius.recipes.named_recipe import FOLDER, SCALES, NamedRecipe, names
from inradius.training.options import recipe_of

RECIPES = sorted(names())
# recipes whose attacks take so many steps that 20 of training take seconds
LONG = re.compile("^maini2020|-(70|70-1t|max-10|min-10|20|ddi)$")
# images of the files, and the smallest network that reads them
SMALL = {"cifar10": "mlp(3072, 8, 10)", "idx": "mlp(784, 8, 10)", "svhn": "mlp(3072, 8, 10)", "har": "mlp(561, 8, 6)"}


@pytest.fixture
def files(tmp_path):
    write_all(tmp_path)
    return tmp_path


def complaint(capsys, *arguments):
    """The one sentence of a command that fails."""
    assert run([str(one) for one in arguments]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.strip().splitlines()
    assert printed.out == ""
    return line.removeprefix("error: ")


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_part_is_known_and_every_number_is_given(name, scale):
    recipe = NamedRecipe.of(name, scale, "files")
    method = inradius.make(recipe.defense, inradius.Defense)
    inradius.make(recipe.threat, inradius.ThreatModel)
    assert all(inradius.make(spec, inradius.Attack) for spec in recipe.evaluated_with)
    recipe_of(method, {**recipe.options, "validation": 0.0})
    asked = {"epochs", "batch_size", "optimizer", "lr", "schedule", "precision", "validation"}
    assert asked <= recipe.options.keys()
    assert recipe.options["optimizer"] != "sgd" or {"momentum", "weight_decay"} <= recipe.options.keys()
    assert recipe.evaluated_with
    assert recipe.about
    keys = {
        line.removeprefix("## ") for line in (FOLDER.parents[2] / "docs" / "references.md").read_text().splitlines()
    }
    assert set(recipe.source.split(", ")) <= keys


def trained(name, files, tmp_path, **changes):
    """The line of a run of one epoch of 21 steps or more, on two images each, at a rate for so few."""
    recipe = NamedRecipe.of(name, "paper", files)
    rate = recipe.options["lr"] * 2 / recipe.options["batch_size"]
    options = {**recipe.options, "epochs": 1, "batch_size": 2, "lr": rate, **changes}
    model = options.pop("model", recipe.model)
    network = inradius.train(recipe.defense, model, recipe.data, recipe.threat, folder=tmp_path / "run", **options)
    data = inradius.make(recipe.evaluated_on, Dataset)
    assert torch.isfinite(network(data.inputs)).all()
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    "name",
    [
        # the default run takes every fourth
        pytest.param(name, marks=pytest.mark.slow if LONG.search(name) or number % 4 else ())
        for number, name in enumerate(RECIPES)
    ],
)
def test_a_paper_recipe_takes_20_steps_on_random_files(files, tmp_path, name):
    small = SMALL[NamedRecipe.of(name, "paper", files).data.partition("(")[0]]
    assert trained(name, files, tmp_path, model=small)["loss"] < 1e4


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_paper_recipe_takes_20_steps_with_its_own_network(files, tmp_path, name):
    assert trained(name, files, tmp_path)["loss"] < 1e4


def test_train_takes_a_recipe_and_what_is_typed_beside_it_counts(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'base = "wu2022-fait"\n[small]\nmodel = "mlp(64, 4, 10)"\nweight_decay = 1e-3\n'
    )
    typed = ["--epochs", "1", "--batch-size", "400", "--threat", "linf(eps=0.01)", "--device", "cpu"]
    assert run(["train", "--recipe", "mine.toml", "--out", "run", *typed]) == 0
    printed = capsys.readouterr().out
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["defense"] == inradius.make("fait(lam=12.0, iterate=2)").spec(full=True)
    assert (settings["epochs"], settings["batch_size"], settings["lr"], settings["weight_decay"]) == (
        1,
        400,
        2e-3,
        1e-3,
    )
    assert "eps=0.01" in settings["threat"]
    assert "--attack 'inradius_suite()'" in printed
    assert "--data digits " in printed


def test_a_base_gives_what_a_recipe_leaves_open(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "latorre2023-ddi"\nmomentum = 0.5\n[small]\nepochs = 3\n')
    found, base = NamedRecipe.of(str(path)), NamedRecipe.of("latorre2023-ddi")
    assert found.options == {**base.options, "momentum": 0.5, "epochs": 3}
    assert (found.defense, found.data) == (base.defense, base.data)
    paper = NamedRecipe.of(str(path), "paper", "files")
    assert (paper.options["momentum"], paper.options["epochs"]) == (0.5, 200)


@pytest.mark.parametrize("folder", ["it's", "a\\b", 'say "x"'])
def test_a_folder_of_any_name_is_read(tmp_path, folder):
    place = tmp_path / folder
    place.mkdir()
    write_cifar10(place)
    recipe = NamedRecipe.of("latorre2023-pgd", "paper", place)
    assert len(inradius.make(recipe.data, Dataset)) == 42
    (watch,) = (inradius.make(spec) for spec in recipe.options["monitors"])
    assert len(inradius.make(watch.data, Dataset)) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "is not TOML"),
        ("epocs = 3", "has the key 'epocs' .did you mean epochs"),
        ('base = "wu2022-fat"\n[small]\nlrr = 3', r"in \[small\] has the key 'lrr' .did you mean lr"),
        ("small = 3", "has small = 3; allowed is a table"),
        ('base = "wu2022-fay"', "'wu2022-fay' is not a known recipe; did you mean"),
        ("base = 3", "has base = 3; allowed is a text"),
        ('base = "mine"', "takes over from itself"),
        ('defense = "standard"', "has no model; allowed is a text"),
        ('base = "wu2022-fat"\nmodel = 3', "has model = 3; allowed is a text"),
        ('base = "wu2022-fat"\nseeds = true', "has seeds = True; allowed is a whole number"),
        ('base = "wu2022-fat"\nevaluated_with = [1]', "allowed is a list of texts"),
        ('base = "wu2022-fat"\nseed = 1', "has the key 'seed'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises((SpecError, InputError), match=message):
        NamedRecipe.of(str(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "wu2022-fai"], "'wu2022-fai' is not a known recipe; did you mean wu2022-fait"),
        (["--recipe", "none.toml"], "'none.toml' cannot be read"),
        (["--recipe", "wu2022-fait", "--scale", "paper"], "files of your own; give their folder"),
        (["--recipe", "wu2022-fait", "--scale", "paper", "--data-folder", "nowhere"], "there is no data_batch_1.bin"),
        (["--recipe", "wu2022-fait", "--scale", "tiny"], "Invalid value for '--scale'"),
        (["standard", "--recipe", "wu2022-fait"], "allowed is one of them"),
        ([], "no DEFENSE is given"),
    ],
)
def test_what_is_wrong_in_a_command_is_said(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, "train", *arguments, "--out", "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_scale_is_named():
    with pytest.raises(SpecError, match="scale='tiny' is not known; allowed are paper and small"):
        NamedRecipe.of("wu2022-fait", "tiny")


def test_recipes_are_listed(capsys):
    assert run(["list", "recipes", "--short"]) == 0
    assert capsys.readouterr().out.split() == RECIPES
    assert run(["list", "recipes", "--filter", "table 4.3"]) == 0
    assert capsys.readouterr().out.count("wong2020-") == 4
