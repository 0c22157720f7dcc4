"""Images and their perturbed versions as PNG files, with what 8 bits leave of each answer."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable
from inradius.bracketing.example import Example
from inradius.bracketing.result import BracketResult
from inradius.components.registry import make
from inradius.data.dataset import Examples
from inradius.errors import InputError
from inradius.models.modes import frozen
from inradius.models.outputs import asked
from inradius.outcomes.outcome import Outcome
from inradius.report.pictures import is_picture, png
from inradius.sets.threat_model import ThreatModel
from inradius.stored.files import as_folder, writable_folder, write_atomic

TABLE = "images.csv"


@attrs.frozen(kw_only=True)
class ExportedImage:
    """A pair of files of one broken example.

    inside: the perturbed image of 8 bits is in the set; survives: it is, and it breaks the model, None where none was given.
    """

    index: int
    label: int | None
    image: str
    perturbed: str
    inside: bool
    survives: bool | None


def export_images(
    result: BracketResult,
    folder: str | Path,
    model: nn.Module | Callable[[Tensor], Tensor] | None = None,
    data: Examples | None = None,
) -> tuple[ExportedImage, ...]:
    """Writes each broken example as two PNG files of 8 bits, and a table, images.csv, that says which answers survive 8 bits.

    Without ``data`` these are the images that the report's page shows; with the report's data all of them. Raises ``InputError``
    where inputs are no images in a box of two numbers, or the data lack a broken example.
    """
    if result.setting.bounds is None:
        raise InputError(
            "the report has no box of two numbers; allowed are images whose values lie in one, such as [0, 1]"
        )
    broken = [e for e in result.examples if e.status == "attacked" and e.row in result.deltas]
    chosen = [e for e in broken if data is not None or e.row in result.inputs]
    if model is not None:
        check_callable(model)
        _outcome(result)
    if not chosen:
        raise InputError(
            "the report holds no broken image; allowed are reports with images that an attack broke, and data=... for all of them"
        )
    place = writable_folder(as_folder(folder))
    found = tuple(_exported(result, example, _input(result, example, data), place, model) for example in chosen)
    write_atomic(place / TABLE, _table(found))
    return found


def _input(result: BracketResult, example: Example, data: Examples | None) -> Tensor:
    """The image of an example (*S), from the report or from the data."""
    if data is None:
        return result.inputs[example.row]
    if not hasattr(data, "index") or not hasattr(data, "select"):
        raise InputError(f"the data are a {type(data).__name__}; allowed are the report's own data, as a Dataset")
    rows = (data.index == example.index).nonzero().flatten()
    # numbers may occur twice: the row of the report is the one that is meant where it has the number
    rows = torch.cat([rows[rows == example.row], rows])[:1]
    x = data.select(rows).inputs if len(rows) else torch.empty(0)
    if not len(x) or x.shape[1:] != result.deltas[example.row].shape:
        raise InputError(
            f"the data have no example {example.index} of the report's shape; allowed are the report's own data"
        )
    shown = result.inputs.get(example.row)
    if shown is not None and not torch.equal(shown.to(x), x[0]):
        raise InputError(
            f"example {example.index} of the data is another image than the report's; allowed are the report's own data"
        )
    return x[0]


def _exported(
    result: BracketResult,
    example: Example,
    x: Tensor,
    place: Path,
    model: nn.Module | Callable[[Tensor], Tensor] | None,
) -> ExportedImage:
    assert result.setting.bounds is not None
    if not is_picture(x):
        raise InputError(f"inputs of shape {tuple(x.shape)} are no images; allowed are (H, W), (1, H, W) and (3, H, W)")
    low, high = result.setting.bounds
    moved = x + result.deltas[example.row].to(x)
    steps = ((moved.double() - low) / (high - low) * 255).round().clamp(0, 255)
    stored = (low + steps / 255 * (high - low)).to(x.dtype)
    twice = sum(other.index == example.index for other in result.examples) > 1
    number = f"{example.index:05d}" + (f"-{example.row:05d}" if twice else "")
    names = [f"{number}-{word}.png" for word in ("image", "perturbed")]
    for name, image in zip(names, (x, stored), strict=True):
        write_atomic(place / name, png(image, (low, high)))
    threat = make(result.setting.threat, ThreatModel)
    where = torch.tensor([example.index])
    inside = bool(threat.at(where, x[None]).contains((stored - x)[None], x[None]))
    survives = None if model is None else inside and _breaks(result, example, stored, model)
    return ExportedImage(
        index=example.index, label=example.label, image=names[0], perturbed=names[1], inside=inside, survives=survives
    )


def _breaks(result: BracketResult, example: Example, x: Tensor, model: nn.Module | Callable[[Tensor], Tensor]) -> bool:
    """True where the outcome says that the model is wrong on an image."""
    if example.label is None:
        raise InputError(
            f"{result.setting.outcome} has labels that are no classes; allowed is an export without a model"
        )
    outcome, y = _outcome(result), torch.tensor([example.label])
    tensors = model.state_dict().values() if isinstance(model, nn.Module) else ()
    place = next((tensor.device for tensor in tensors), x.device)
    with frozen(model), torch.no_grad():
        return bool(outcome.judged(asked(model, x[None].to(place)), y.to(place)) < 0)


def _outcome(result: BracketResult) -> Outcome:
    """The outcome of a report. Raises ``InputError`` where no spec makes it, as with a function of the user's."""
    if result.setting.outcome.startswith("outcome("):
        raise InputError(
            f"the report asks {result.setting.outcome}, which no spec makes again; allowed is an export without a model"
        )
    return make(result.setting.outcome, Outcome)


def _table(found: Sequence[ExportedImage]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([field.name for field in attrs.fields(ExportedImage)])
    lines.writerows(["" if value is None else value for value in attrs.astuple(each)] for each in found)
    return text.getvalue().encode()
