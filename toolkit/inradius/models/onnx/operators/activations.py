"""Activations: functions of each number, and softmax along an axis."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import unflattened

# the standard's constants of Selu, to the digits that it prints
_SELU = (1.67326319217681884765625, 1.05070102214813232421875)


def _plain(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return function

    return lower


def _leaky(call: Call) -> Apply:
    """x where it is positive, else α x."""
    slope = float(call.attribute("alpha", 0.01))
    return lambda x: F.leaky_relu(x, slope)


def _prelu(call: Call) -> Apply:
    """x where it is positive, else x times a weight, one for each channel or number."""
    x, slope = call.operand(0), call.operand(1)
    channels = x.shape[1] if x.rank > 1 else 1
    each = slope.rank == x.rank - 1 and slope.shape[:1] == (channels,) and set(slope.shape[1:]) <= {1}
    if slope.constant is not None and not call.outside and (slope.constant.numel() == 1 or each) and x.batch == 0:
        return lambda x, slope: F.prelu(x, slope.reshape(-1))
    return lambda x, slope: F.relu(x) - slope * F.relu(-x)


def _elu(call: Call) -> Apply:
    """x where it is positive, else α (eˣ − 1)."""
    alpha = float(call.attribute("alpha", 1.0))
    return lambda x: F.elu(x, alpha)


def _selu(call: Call) -> Apply:
    """γ times an Elu."""
    alpha, gamma = float(call.attribute("alpha", _SELU[0])), float(call.attribute("gamma", _SELU[1]))
    return lambda x: F.elu(x, alpha) * gamma


def _celu(call: Call) -> Apply:
    """max(x, 0) + min(α (e^(x/α) − 1), 0)."""
    alpha = float(call.attribute("alpha", 1.0))
    return lambda x: F.celu(x, alpha)


def _gelu(call: Call) -> Apply:
    """x Φ(x), or its approximation by tanh."""
    kind = call.choose("approximate", "none", ("none", "tanh"))
    return lambda x: F.gelu(x, approximate=kind)


def _hard_sigmoid(call: Call) -> Apply:
    """α x + β, cut at 0 and 1."""
    alpha, beta = float(call.attribute("alpha", 0.2)), float(call.attribute("beta", 0.5))
    return lambda x: torch.clamp(x * alpha + beta, 0.0, 1.0)


def _thresholded(call: Call) -> Apply:
    """x where it is above α, else 0."""
    alpha = float(call.attribute("alpha", 1.0))
    return lambda x: torch.where(x > alpha, x, torch.zeros_like(x))


def _shrink(call: Call) -> Apply:
    """x moved towards 0 by a bias where it is further than λ from 0, else 0."""
    bias, cut = float(call.attribute("bias", 0.0)), float(call.attribute("lambd", 0.5))
    if bias == cut:
        return lambda x: F.softshrink(x, cut)
    zero = torch.zeros_like
    return lambda x: torch.where(x < -cut, x + bias, torch.where(x > cut, x - bias, zero(x)))


def _clip(call: Call) -> Apply:
    """x, cut at a lowest and a highest number."""
    if call.opset < 11:
        low, high = call.attribute("min"), call.attribute("max")
        if low is not None and high is not None and low > high:
            call.refuse(f"cuts at a lowest number {low} above the highest {high}")
    else:
        low, high = call.number(1), call.number(2)
    if low is None and high is None:
        return lambda x, *_: x
    if low is not None and high is not None and low > high:
        high_alone = high
        return lambda x, *_: torch.full_like(x, high_alone)
    return lambda x, *_: torch.clamp(x, low, high)


def _softmax(function: Callable[..., Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        """Along one axis; before operator set 13 over all axes from one on."""
        rank = call.operand(0).rank
        if call.opset >= 13:
            axis = call.axis(int(call.attribute("axis", -1)))
            return lambda x: function(x, dim=axis)
        axis = int(call.attribute("axis", 1))
        if axis == rank == 1 and call.opset < 11:
            call.refuse("has the axis 1 where there is 1 axis")
        axis = call.axis(axis)
        if axis == -1:
            return lambda x: function(x, dim=-1)
        together = call.operand(0).shape[axis:]
        return lambda x: unflattened(function(x.flatten(axis), dim=-1), -1, together)

    return lower


ACTIVATIONS: dict[str, Callable[[Call], Apply]] = {
    "Relu": _plain(F.relu),
    "LeakyRelu": _leaky,
    "PRelu": _prelu,
    "ThresholdedRelu": _thresholded,
    "Elu": _elu,
    "Selu": _selu,
    "Celu": _celu,
    "Gelu": _gelu,
    "Sigmoid": _plain(torch.sigmoid),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Tanh": _plain(torch.tanh),
    "Softplus": _plain(lambda x: F.softplus(x, threshold=float("inf"))),
    "Softsign": _plain(F.softsign),
    "Mish": _plain(F.mish),
    "Shrink": _shrink,
    "Clip": _clip,
    "Softmax": _softmax(F.softmax),
    "LogSoftmax": _softmax(F.log_softmax),
}
