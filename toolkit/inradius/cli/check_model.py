"""``inradius check-model``."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from inradius.attacks.attack import Attack
from inradius.bracketing.flags import model_flags
from inradius.bracketing.model_cost import model_cost
from inradius.certifiers.certifier import Certifier
from inradius.cli import options
from inradius.cli.console import console, say, table
from inradius.components.registry import make
from inradius.data.dataset import Dataset
from inradius.errors import InputError, UnsupportedError
from inradius.models.load import load_model
from inradius.models.modes import evaluating
from inradius.models.outputs import answered, asked
from inradius.outcomes.classes import is_top1
from inradius.outcomes.outcome import Outcome
from inradius.sets.threat_model import ThreatModel

# the first shows at once which operators have no sound bound, the second which of them linear bounds pass
_CERTIFIERS = ("interval", "crown")
_AT_ONCE, _TIMED = 64, 8

Shape = Annotated[
    str | None,
    typer.Option("--shape", metavar="NUMBERS", help="The shape of one input, as in 3,32,32, where there are no data."),
]
OfData = Annotated[
    str | None,
    typer.Option("--data", metavar="SPEC", help="Data for the accuracy, as in npz:images.npz.", show_default="none"),
]


def check_model(
    model: options.Model = options.MODEL,
    weights: options.Weights = None,
    data: OfData = None,
    count: options.Count = options.COUNT,
    shape: Shape = None,
    threat: options.Threat = options.THREAT,
    outcome: options.Outcome = options.OUTCOME,
    attack: options.Attacks = None,
    certifier: options.Certifiers = None,
    device: options.Device = None,
) -> None:
    """Tell how a model is understood: its inputs, outputs, accuracy and cost, and which attacks and certifiers take it."""
    the_set, question = make(threat, ThreatModel), make(outcome, Outcome)
    attacks = [make(spec, Attack) for spec in attack or the_set.default_attacks]
    certifiers = [make(spec, Certifier) for spec in certifier or _CERTIFIERS]
    network = load_model(model, weights, device)
    examples = None if data is None else make(data, Dataset).take(count or None)
    if examples is not None and not len(examples):
        raise InputError(f"{examples.name} has no examples; at least one is needed")
    place = next((tensor.device for tensor in network.state_dict().values()), torch.device("cpu"))
    if examples is not None:
        examples = examples.to(place)
    x = _inputs(network, shape, place) if examples is None else examples.inputs
    say(f"model     {model}: {_told(network)}")
    say(f"input     {_range(x, shown=examples is not None)}")
    with evaluating(network), torch.no_grad():
        returned = answered(network, x[:1])
        outputs = asked(network, x[:1])
    y = _labels(examples, question, outputs, x)
    question.check_outputs(outputs, y[:1])
    say(f"output    {_outputs(returned, outputs, question)}")
    if examples is not None:
        say(f"accuracy  {100 * _accuracy(network, x, y, question):.1f} % of {len(x)} examples, clean")
    _say_cost(network, x[:_TIMED])
    for flag in model_flags(network, x[:_AT_ONCE], y[:_AT_ONCE], question):
        say(f"warning   {flag}")
    say()
    _show_methods(network, x[:1], y[:1], the_set, question, attacks, certifiers)


def _inputs(network: nn.Module, shape: str | None, place: torch.device) -> Tensor:
    """Random inputs of the shape that is given or that the model states, of the model's type."""
    stated = getattr(network, "input_shape", None)
    if shape is None and stated is None:
        raise InputError("the shape of inputs is not known; allowed are --data SPEC, or --shape as in 3,32,32")
    try:
        sizes = tuple(stated or ()) if shape is None else tuple(int(part) for part in shape.split(","))
    except ValueError:
        sizes = (0,)
    if not sizes or min(sizes) < 1:
        raise InputError(f"--shape {shape} is no shape; allowed are whole numbers ≥ 1 with commas, as in 3,32,32")
    types = [p.dtype for p in network.parameters() if p.is_floating_point()]
    generator = torch.Generator().manual_seed(0)
    return torch.rand(_TIMED, *sizes, generator=generator).to(place, types[0] if types else torch.float32)


def _labels(examples: Dataset | None, outcome: Outcome, outputs: Tensor, x: Tensor) -> Tensor:
    """The labels as the outcome takes them; without data class 0, whatever the model says."""
    if examples is not None:
        return outcome.check_labels(x, examples.labels)
    if not is_top1(outcome):
        raise InputError(f"{outcome} needs labels; give --data SPEC beside it")
    return torch.zeros(len(x), dtype=torch.int64, device=x.device)


def _told(network: nn.Module) -> str:
    numbers = sum(parameter.numel() for parameter in network.parameters())
    types = sorted({str(p.dtype).removeprefix("torch.") for p in network.parameters()})
    return f"{type(network).__name__}, {numbers:,} parameters in {' and '.join(types) or 'no type'}"


def _range(x: Tensor, *, shown: bool) -> str:
    told = f", values from {float(x.min()):.4g} to {float(x.max()):.4g}" if shown else ", tried with values in [0, 1]"
    return f"{tuple(x.shape[1:])} in {str(x.dtype).removeprefix('torch.')}{told}"


def _outputs(returned: object, outputs: Tensor, outcome: Outcome) -> str:
    kind = "" if isinstance(returned, Tensor) else f", chosen from a {type(returned).__name__}"
    what = f"{outputs.shape[1]} classes" if is_top1(outcome) else f"shape {tuple(outputs.shape[1:])} for {outcome}"
    return what + kind


def _accuracy(network: nn.Module, x: Tensor, y: Tensor, outcome: Outcome) -> float:
    with evaluating(network), torch.no_grad():
        parts = [
            outcome.judged(asked(network, x[first : first + _AT_ONCE]), y[first : first + _AT_ONCE]) > 0
            for first in range(0, len(x), _AT_ONCE)
        ]
    return float(torch.cat(parts).double().mean())


def _say_cost(network: nn.Module, x: Tensor) -> None:
    cost = model_cost(network, x)
    say(
        f"cost      {1e3 * cost.forward:.3g} ms an image forward, {1e3 * cost.gradient:.3g} ms with its gradient, which keeps "
        f"{cost.bytes / 2**20:.3g} MiB an image (in batches of {len(x)} on {x.device})"
    )


def _show_methods(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: ThreatModel,
    outcome: Outcome,
    attacks: Sequence[Attack],
    certifiers: Sequence[Certifier],
) -> None:
    made = table("method", "takes it", "seconds for an image", "")
    for method in (*attacks, *certifiers):
        started = monotonic()
        answer, reason = _tried(lambda method=method: method(network, x, y, threat, outcome=outcome))  # type: ignore[misc]
        made.add_row(str(method), answer, f"{monotonic() - started:.2f}", reason)
    console().print(made)


def _tried(call: Callable[[], object]) -> tuple[str, str]:
    """Yes, or no with the sentence that says what stops it."""
    try:
        call()
    except (InputError, UnsupportedError) as error:
        return "no", str(error)
    return "yes", ""
