"""Plain runs of a model, compared with the recorded computation, alone and in batches."""

from collections.abc import Sequence
from contextlib import nullcontext

import attrs
import torch
from torch import Tensor, nn

from inradius import UnsupportedError
from inradius.models.picked import picked
from inradius_bounds.capture.affine_checks import pointwise
from inradius_bounds.capture.plain import plain_kernels
from inradius_bounds.layout.layer_chain import LayerChain

# the allowed difference of two runs that round in other orders, in units of the observed rounding
_ORDERS = 16
# the most numbers of a batch that is also run without a recording
_SEVERAL = 400_000


@attrs.frozen(eq=False)
class TestedPoints:
    """Points (N, *S), and the outputs of recorded runs: on the first few alone (n, *out), and on batches of several sizes."""

    points: Tensor
    alone: Tensor
    batches: Sequence[Tensor]


def batch_of(points: Tensor, count: int) -> Tensor:
    """A batch of ``count`` points, in turn."""
    return points.repeat(-(-count // len(points)), *(1,) * (points.ndim - 1))[:count]


def check_values(model: nn.Module, chain: LayerChain, tried: TestedPoints) -> None:
    """Raises ``UnsupportedError`` where a plain run and the recording give different values, alone or in a batch."""
    few = tried.points[: len(tried.alone)]
    allowed = _allowed(*pointwise(chain, few.double(), few.dtype), tried.alone)
    for gradients, fused in ((False, False), (False, True), (True, True)):
        if gradients and not _differentiable(model):
            continue
        # the same operators on the same numbers give the same bits, unless other kernels are allowed
        exact = few.device.type == "cpu" and not fused
        found = _alone(model, few, gradients=gradients, fused=fused)
        if not (_same(found, tried.alone) if exact else _close(found, tried.alone, allowed)):
            raise UnsupportedError(
                f"the recording of {type(model).__name__} gives other values than the model; allowed are models whose "
                "numbers stay in torch's operators from the input to the output, with and without gradients"
            )
    for output in tried.batches:
        _check_batch(model, tried, output, allowed)


def _differentiable(model: nn.Module) -> bool:
    """True if the model can run while gradients are recorded. Tensors of inference mode cannot."""
    return not any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers()))


def _alone(model: nn.Module, points: Tensor, *, gradients: bool, fused: bool) -> Tensor:
    """The outputs of plain runs on each point, (N, *out). With ``fused``, torch chooses the kernels for attention."""
    found = []
    with torch.set_grad_enabled(gradients), nullcontext() if fused else plain_kernels():
        for point in points:
            # no leaf, because the model may write on it; some kernels round otherwise where an example follows another in memory
            given = torch.stack([point] * 2)[1:] if fused else point[None].clone()
            given = given if not gradients else given.requires_grad_().clone()
            found.append(_output(model, given, 1))
    return torch.cat(found)


def _output(model: nn.Module, given: Tensor, count: int) -> Tensor:
    """The model's outputs. Raises ``UnsupportedError`` where a plain run returns another kind of result than a recorded run."""
    output = picked(model(given))
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != count:
        raise UnsupportedError(
            f"{type(model).__name__} gives {type(output).__name__} of another form in some runs, such as with and "
            "without gradients; allowed are models that give one tensor, a row for each example"
        )
    return output.detach()


def _allowed(value: Tensor, error: Tensor, alone: Tensor) -> Tensor:
    """The allowed difference of two runs, a number: a multiple of the observed rounding, and at most its bound.

    value: outputs in float64, with a bound ``error`` on the rounding of a run. alone: the outputs of a run.
    """
    spare = torch.finfo(alone.dtype).eps * alone.double().abs().amax()
    seen = (alone.double().view_as(value) - value).abs().nan_to_num(nan=0.0).amax() + spare
    bound = 2 * error.nan_to_num(nan=torch.inf, posinf=torch.inf).amax() + spare
    return torch.minimum(_ORDERS * seen, bound)


def _close(found: Tensor, other: Tensor, allowed: Tensor) -> bool:
    if found.shape != other.shape:
        return False
    near = (found.double() - other.double()).abs() <= allowed
    return bool((_same_numbers(found, other) | near).all())


def _same(found: Tensor, other: Tensor) -> bool:
    return found.shape == other.shape and bool(_same_numbers(found, other).all())


def _same_numbers(found: Tensor, other: Tensor) -> Tensor:
    """A mask of the places where two tensors have the same numbers. NaN equals NaN."""
    return (found == other) | (found.isnan() & other.isnan())


def _check_batch(model: nn.Module, tried: TestedPoints, output: Tensor, allowed: Tensor) -> None:
    """Raises ``UnsupportedError`` where an example's outputs differ between a batch and a run alone, or with other batch mates."""
    count, size = len(output), len(tried.points)
    batch = batch_of(tried.points, count)
    places = [place for place in range(count) if place % size < len(tried.alone)]
    expected = tried.alone[[place % size for place in places]]
    good = _close(output[places], expected, allowed)
    if batch.numel() < _SEVERAL:
        plain = _run(model, batch)
        good = good and _close(plain[places], expected, allowed)
        good = good and all(_keeps_apart(model, batch, plain, place, allowed) for place in (0, count - 1))
    if not good:
        raise UnsupportedError(
            f"{type(model).__name__} gives other outputs for an example in a batch of {count} than alone: batches of 1 and "
            f"{count} differ, so that the examples depend on each other; allowed are models that keep them apart"
        )


def _keeps_apart(model: nn.Module, batch: Tensor, plain: Tensor, place: int, allowed: Tensor) -> bool:
    """True if the other examples' outputs do not change, bit for bit, when the example at ``place`` is replaced."""
    others = [each for each in range(len(batch)) if each != place]
    changed = batch.clone()
    changed[place] = batch[others[0]] * 0.75 + 0.125
    found = _run(model, changed)
    if batch.device.type != "cpu":
        return _close(found[others], plain[others], allowed)
    return _same(found[others], plain[others])


@torch.no_grad()
def _run(model: nn.Module, batch: Tensor) -> Tensor:
    return _output(model, batch.clone(), len(batch))
