"""``inradius train``."""

import inspect
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import attrs
import torch
import typer
from torch import nn

from inradius.cli import curves, options
from inradius.cli.console import console, say
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError
from inradius.models.check import check_forward
from inradius.models.load import is_file, load_model
from inradius.processes import launched
from inradius.recipes.named_recipe import NamedRecipe
from inradius.report.history import is_training
from inradius.sets.threat_model import ThreatModel
from inradius.training.defense import Defense
from inradius.training.option import SELECTION, option_of
from inradius.training.options import FIELDS, KINDS, SEVERAL, default_of, spread
from inradius.training.selection import evaluated_on
from inradius.training.train import train as train_network


def _parameters() -> Iterator[inspect.Parameter]:
    """The options of the recipe as typer takes them."""
    for name, field in FIELDS.items():
        told, default = option_of(field), None if name in SEVERAL else default_of(field)
        shown = typer.Option(
            *([told.flag] if told.flag else []),
            metavar=told.metavar,
            help=told.help,
            rich_help_panel=told.group,
            show_default=told.default or True,
        )
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=str(default) if name == "validation" else default,
            annotation=Annotated[_type(field), shown],
        )


def _type(field: "attrs.Attribute[Any]") -> Any:
    """The type of an option's value on the command line; components and other data are given as specs."""
    if field.name in SEVERAL:
        return list[str] | None
    if field.name in KINDS:
        return str | None
    if field.name == "validation":
        return str
    return field.type | None if default_of(field) is None else field.type  # type: ignore[operator]


@spread(_parameters())
def train(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", parser=options.folder, help="The run's folder.")],
    defense: Annotated[
        str | None, typer.Argument(metavar="DEFENSE", help="A defense, as in standard or adversarial(attack=pgd).")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="A paper's training, by name (inradius list recipes) or as a file.toml; options given beside it count.",
        ),
    ] = None,
    scale: options.ScaleOption = "small",
    data_folder: options.DataFolder = None,
    model: options.Model = "mnist_small",
    weights: options.Weights = None,
    data: options.Data = "mnist5k(split='train')",
    threat: options.Threat = options.THREAT,
    select_on_test: Annotated[
        bool,
        typer.Option(
            "--select-on-test",
            help="Allow test data for checkpoint selection. The run records this; test accuracy is then biased.",
            rich_help_panel=SELECTION,
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to compute.", show_default="an accelerator where there is one"),
    ] = None,
    fresh: options.Fresh = False,
    **given: Any,
) -> None:
    """Trains a network and keeps its best and its last weights; the same command goes on after a stop."""
    asked = _Asked(defense, model, weights, data, threat, select_on_test, given)
    if recipe is not None:
        asked = asked.by_recipe(NamedRecipe.of(recipe, scale, data_folder), _typed(ctx))
    elif defense is None:
        raise InputError(
            "no DEFENSE is given; allowed are one, as in adversarial(attack=pgd), and --recipe NAME (inradius list recipes)"
        )
    _train(asked, out, device, fresh=fresh)


@attrs.frozen
class _Asked:
    """A training as asked for: specs, the options of the run, and the attacks of the evaluation afterwards."""

    defense: str | None
    model: str
    weights: Path | None
    data: str
    threat: str
    select_on_test: bool
    given: Mapping[str, Any]
    evaluated_on: str | None = None
    evaluated_with: tuple[str, ...] = ()

    def by_recipe(self, recipe: NamedRecipe, typed: Collection[str]) -> "_Asked":
        """The training of a recipe, in which the options that were typed take the place of the recipe's."""
        if self.defense is not None:
            raise InputError(f"DEFENSE {self.defense} and --recipe {recipe.name} are given; allowed is one of them")
        taken = {
            name: getattr(recipe, name) for name in ("model", "data", "threat", "select_on_test") if name not in typed
        }
        given = {**self.given, **{name: value for name, value in recipe.options.items() if name not in typed}}
        judged = None if "data" in typed else recipe.evaluated_on
        return attrs.evolve(
            self,
            defense=recipe.defense,
            given=given,
            evaluated_on=judged,
            evaluated_with=recipe.evaluated_with,
            **taken,
        )


def _typed(ctx: typer.Context) -> set[str]:
    """The names of the options that the command line gives."""
    return {name for name in ctx.params if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"}


def _train(asked: _Asked, out: Path, device: str | None, *, fresh: bool) -> None:
    """Trains what was asked for, and says what came out."""
    given, defense, threat = dict(asked.given), str(asked.defense), asked.threat
    method = make(defense, Defense)
    the_set = make(threat, ThreatModel)
    network = _network(asked.model, asked.weights, given["seed"])
    examples = make(asked.data, Dataset)
    if len(examples) and method.classifies:
        check_forward(network, examples)
    # pass the specs, not the objects, so that the run's record holds them as typed
    start = asked.model if asked.weights is None and not is_file(asked.model) else network
    trained = train_network(
        defense,
        start,
        examples,
        threat,
        folder=out,
        device=device or _accelerator(),
        select_on_test=asked.select_on_test,
        progress=console().is_terminal,
        fresh=fresh,
        **given | {"validation": _validation(str(given["validation"]))},
    )
    best = out / "best.safetensors"
    say(f"best weights   {best}")
    # a method that owns its run may keep no record of epochs
    if is_training(out):
        curves.show([out], out / curves.CURVES)
    if method.classifies:
        _say_how_to_evaluate(method.trained_spec(asked.model, the_set, trained), best, asked)


def _say_how_to_evaluate(model: str, weights: Path, asked: _Asked) -> None:
    """Prints the command that brackets the trained network against the same set."""
    data = asked.evaluated_on or evaluated_on(asked.data)
    parts = [("model", model), ("weights", str(weights)), ("data", data), ("threat", asked.threat)]
    parts += [("attack", spec) for spec in asked.evaluated_with]
    say(f"evaluate them  inradius bracket {' '.join(f'--{name} {shlex.quote(value)}' for name, value in parts)}")


def _network(spec: str, weights: Path | None, seed: int) -> nn.Module:
    """The network with weights that depend on the seed alone, or on the file."""
    torch.manual_seed(seed)
    return load_model(spec, weights)


def _accelerator() -> torch.device | None:
    """The current accelerator; None if there is none, or if a launcher assigns the devices."""
    return None if launched() or not torch.accelerator.is_available() else torch.accelerator.current_accelerator()


def _validation(text: str) -> float | str:
    """A share, or else a spec."""
    try:
        return float(text)
    except ValueError:
        return text
