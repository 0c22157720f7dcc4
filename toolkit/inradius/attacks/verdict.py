"""Verdicts beyond rounding: what a model misclassifies it misclassifies again, alone, in any batch and in float64."""

import copy
from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from inradius.attacks.objective import class_margin
from inradius.models.modes import at_least
from inradius.outcomes.classes import TOP1
from inradius.outcomes.outcome import Outcome

Model = Callable[[Tensor], Tensor]

# How much of the largest logit orders of summation may change in a margin, in units of rounding. Forward passes of the
# networks of this toolkit differ by up to 30.
_ORDERS = 64
_SHORT = (torch.bfloat16, torch.float16)
# what is taken off a margin beside twice the disagreement that was seen, as a batch of another size is another sum
_SPARE = 4


@attrs.frozen(eq=False)
class Judgement:
    """The judgement on perturbations of a batch.

    margin (B,): that of ``against`` at x + δ, or of the outcome, which is < 0 where the attack has what it looks for. lost (B,):
    True where it is below zero by more than rounding. unclear (B,): True where rounding decides its sign, as at a tie.
    """

    margin: Tensor
    lost: Tensor
    unclear: Tensor


def judge(
    model: Model,
    x: Tensor,
    delta: Tensor,
    logits: Tensor,
    y: Tensor,
    goal: Tensor | None = None,
    *,
    among: Tensor | None = None,
    again: bool = True,
    outcome: Outcome = TOP1,
) -> Judgement:
    """The judgement on perturbations (B, *S) of inputs x (B, *S), whose ``logits`` (B, ...) are those of the batch.

    A margin of more than √u · max(1, the largest logit) is beyond doubt, where u is the rounding unit of the arithmetic: it
    is thousands of rounding errors, and such an answer costs nothing more. Of the other ones among ``among`` (B,) each is
    run again by itself, and in float64 on a copy of the model where the model can be brought there. The label is lost where
    every run says so, by more than twice their disagreement and a few rounding errors of the largest logit. Runs that the
    model refuses are left out; ``again=False`` leaves out all, for models whose answer depends on the batch. An outcome whose
    margin is not in the units of the outputs is run again for every answer.
    """
    margin, size = _margin(outcome, logits, y, goal), outcome.size(logits, y)
    close = margin.abs() <= unit(x, logits) ** 0.5 * size.clamp(min=1)
    if not outcome.in_output_units:
        close, size = torch.ones_like(close), margin.abs()
    asked = close if among is None else close & among
    # a tie stays one, whatever other runs say
    tied = margin.abs() <= _SPARE * torch.finfo(logits.dtype).eps * size
    lost, unclear = (margin < 0) & ~close, asked & tied
    rows = (asked & ~tied).nonzero().squeeze(1)
    if len(rows):
        aim = None if goal is None else goal[rows]
        labels = y[rows]
        seen = [logits[rows], *(_runs(model, x[rows], delta[rows], labels, outcome) if again else ())]
        margins = torch.stack([_margin(outcome, one.double(), labels, aim).double() for one in seen])
        below, above = _beyond(margins, size[rows])
        lost[rows], unclear[rows] = below, ~below & ~above
    return Judgement(margin, lost, unclear)


def _margin(outcome: Outcome, outputs: Tensor, y: Tensor, goal: Tensor | None) -> Tensor:
    """The margin that an attack must bring below zero, (B,): the outcome's, or with goals (top-1 alone) that of ``against``."""
    return outcome.judged(outputs, y) if goal is None else against(outputs, y, goal)


def against(logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
    """The label's logit minus the largest other one; with a goal the largest other one minus the goal's, (B, C) -> (B,)."""
    return class_margin(logits, y) if goal is None else -class_margin(logits, goal)


def certain(logits: Tensor, y: Tensor, goal: Tensor | None = None) -> Tensor:
    """True where an attack may stop: the margin is below zero by more than orders of summation change it, (B, C) -> (B,)."""
    return against(logits, y, goal) < -_ORDERS * torch.finfo(logits.dtype).eps * logits.abs().amax(1)


def unit(x: Tensor, logits: Tensor) -> float:
    """The relative rounding error of the coarsest arithmetic that a model of these inputs and logits computes in.

    Logits that all are numbers of a shorter type come from one, as where a network casts by itself.
    """
    eps = max(torch.finfo(dtype).eps for dtype in (x.dtype, *_SHORT) if _held(logits, dtype) or dtype == x.dtype)
    if torch.is_autocast_enabled(x.device.type):
        return max(eps, torch.finfo(torch.get_autocast_dtype(x.device.type)).eps)
    tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    # TF32 keeps ten bits
    return 2.0**-10 if x.is_cuda and x.dtype == torch.float32 and tf32 else eps


def _held(logits: Tensor, dtype: torch.dtype) -> bool:
    """True where the type holds all of the logits."""
    return len(logits) > 0 and bool((logits.to(dtype).to(logits.dtype) == logits).all())


def _beyond(margins: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """True where all margins (runs, n) are below zero beyond rounding, and where all are above, two of (n,)."""
    least, most = margins.amin(0), margins.amax(0)
    slack = 2 * (most - least) + _SPARE * torch.finfo(size.dtype).eps * size
    return most < -slack, least > slack


def _runs(model: Model, x: Tensor, delta: Tensor, y: Tensor, outcome: Outcome) -> list[Tensor]:
    """The outputs of each example run alone, and of all in float64, (n, ...) each; without those that the model refuses."""
    runs = _alone(model, x + delta, y, outcome), _in_float64(model, x, delta, y, outcome)
    return [outputs for outputs in runs if outputs is not None]


@torch.no_grad()
def _alone(model: Model, images: Tensor, y: Tensor, outcome: Outcome) -> Tensor | None:
    try:
        each = zip(torch.split(images, 1), torch.split(y, 1), strict=True)
        return torch.cat([_checked(model, image, label, outcome, images.dtype) for image, label in each])
    except Exception:  # a model that takes no single example may raise anything; then its batches are all there is
        return None


@torch.no_grad()
def _in_float64(model: Model, x: Tensor, delta: Tensor, y: Tensor, outcome: Outcome) -> Tensor | None:
    if not isinstance(model, nn.Module) or x.dtype == torch.float64:
        return None
    try:
        with torch.autocast(x.device.type, enabled=False):
            exact = copy.deepcopy(model).double()
            outputs = _checked(exact, x.double() + delta.double(), y, outcome, x.dtype)
    except Exception:  # hard-coded types, and copies that cannot be made, raise anything
        return None
    return outputs if outputs.dtype == torch.float64 else None


def _checked(model: Model, images: Tensor, y: Tensor, outcome: Outcome, dtype: torch.dtype) -> Tensor:
    outputs = model(images)
    outcome.check_outputs(outputs, y)
    return at_least(outputs, dtype)
