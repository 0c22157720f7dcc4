"""One recorded run of a model."""

from types import FrameType

import attrs
import torch
from torch import Tensor, nn

from inradius import InputError, UnsupportedError
from inradius.models.picked import picked
from inradius_bounds.capture.batch_size import BatchSizes
from inradius_bounds.capture.graph import Graph, Value
from inradius_bounds.capture.module_operators import Rules, keeping
from inradius_bounds.capture.plain import plain_kernels
from inradius_bounds.capture.recorder import Recorder
from inradius_bounds.capture.source import line_of
from inradius_bounds.capture.traced_tensor import TracedTensor


@attrs.frozen(eq=False)
class Recording:
    """A recorded run on a batch: its graph, and the model's outputs (B, *out).

    questions: the lines of code that compared the number of examples with another number. numbers: the tensors of all values
    that depend on the input, where they were kept.
    """

    graph: Graph
    output: Tensor
    questions: tuple[str, ...]
    numbers: dict[Value, Tensor]


def record(
    model: nn.Module, x: Tensor, rules: Rules, *, located: bool = False, watched: bool = False, keeps: bool = False
) -> Recording:
    """The recorded run of the model on a batch x (B, *S). The caller restores the model's state.

    With ``located`` calls know their place in the user's code. With ``watched`` comparisons of the number of examples are
    noticed. With ``keeps`` the tensors of all values are kept. Raises ``UnsupportedError`` for an operator that one run cannot
    stand for, and for an output that is no tensor.
    """
    paths = {id(module): f"model.{path}".rstrip(".") for path, module in model.named_modules()}
    questions: list[str] = []

    def ask(frame: FrameType) -> None:
        questions.append(line_of(frame))

    recorder = Recorder(paths, BatchSizes(len(x), ask if watched else None), located=located, keeps=keeps)
    with torch.inference_mode(False):
        entry = recorder.entry(x)
    start = entry.value
    result = _run(model, entry, rules, recorder, paths)
    if recorder.refusals:
        # the model has caught the error and gone on
        raise recorder.refusals[0]
    if not isinstance(result, Tensor):
        raise InputError(
            f"{type(model).__name__} gives a {type(result).__name__}; allowed are models that give one tensor, a row for "
            "each example"
        )
    if not isinstance(result, TracedTensor):
        raise UnsupportedError(
            f"the output of {type(model).__name__} does not come from its input through torch's operators alone"
        )
    return Recording(recorder.graph(entry, start, result), result.plain, tuple(questions), recorder.numbers)


def _run(model: nn.Module, entry: TracedTensor, rules: Rules, recorder: Recorder, paths: dict[int, str]) -> object:
    plain = entry.plain.clone()
    try:
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            plain_kernels(),
            keeping(model, rules, recorder, paths),
            recorder,
        ):
            return picked(model(entry))
    except (UnsupportedError, InputError):
        raise
    except Exception as error:
        if recorder.refusals:
            raise recorder.refusals[0] from error
        _explain(model, plain, error)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedError(
            f"the computation of {type(model).__name__} cannot be recorded ({reason}); allowed are models whose numbers "
            "stay in torch's operators from the input to the output"
        ) from error


def _explain(model: nn.Module, x: Tensor, error: Exception) -> None:
    """Raises ``UnsupportedError`` where the model also fails without a recording for such an input."""
    try:
        with torch.no_grad():
            model(x)
    except Exception as own:
        reason = str(own).splitlines()[0] if str(own) else type(own).__name__
        raise UnsupportedError(
            f"{type(model).__name__} cannot take a batch of {len(x)} of shape {tuple(x.shape[1:])} and type {x.dtype} ({reason}); "
            "allowed are inputs of a shape and type that the model takes"
        ) from error
