"""Normalisation by stored or computed means and deviations."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import on_images


def _batch_norm(call: Call) -> Apply:
    """Each channel less its stored mean, by its stored deviation, with a weight and a bias."""
    call.batch_first()
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        call.refuse(
            "normalises by the numbers of a batch, or each number by itself; allowed are stored means of channels"
        )
    call.unlearned.update((3, 4))
    eps = float(call.attribute("epsilon", 1e-5))
    return lambda x, weight, bias, mean, variance: F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)


def _instance_norm(call: Call) -> Apply:
    """Each channel less its mean, by its deviation, with a weight and a bias."""
    call.batch_first()
    eps = float(call.attribute("epsilon", 1e-5))
    if call.operand(0).rank < 3:
        call.refuse("normalises channels without pixels")
    return lambda x, weight, bias: F.instance_norm(x, weight=weight, bias=bias, eps=eps)


def _layer_norm(call: Call) -> Apply:
    """The numbers of the last axes less their mean, by their deviation, with weights and biases."""
    x, axis = call.operand(0), call.axis(int(call.attribute("axis", -1)))
    shape, eps = x.shape[axis:], float(call.attribute("epsilon", 1e-5))
    _one_output(call)
    if call.operand(1).shape == shape and (not call.has(2) or call.operand(2).shape == shape):
        return lambda x, weight, bias=None: F.layer_norm(x, shape, weight, bias, eps)

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        scaled = F.layer_norm(x, shape, None, None, eps) * weight
        return scaled if bias is None else scaled + bias

    return apply


def _one_output(call: Call) -> None:
    if any(call.node.outputs[1:]):
        call.refuse("makes its means and deviations as well; allowed is one output")


def _group_norm(call: Call) -> Apply:
    """Groups of channels less their mean, by their deviation, with weights and biases of channels (before version 21 of groups)."""
    call.batch_first()
    groups, eps = int(call.attribute("num_groups", 1)), float(call.attribute("epsilon", 1e-5))
    channels = call.operand(0).shape[1]
    if groups < 1 or channels % groups:
        call.refuse(f"makes {groups} groups of {channels} channels")
    if call.opset >= 21:
        return lambda x, weight, bias: F.group_norm(x, groups, weight, bias, eps)
    each, rank = channels // groups, call.operand(0).rank

    def apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        scale, shift = (t.repeat_interleave(each).reshape(-1, *(1,) * (rank - 2)) for t in (weight, bias))
        return F.group_norm(x, groups, None, None, eps) * scale + shift

    return apply


def _lrn(call: Call) -> Apply:
    """Each number by a power of the mean square of its neighbours among the channels."""
    call.batch_first()
    size = int(call.attribute("size", 1))
    if size % 2 == 0:
        call.refuse(f"has {size} neighbours; allowed are odd numbers")
    alpha, beta = float(call.attribute("alpha", 1e-4)), float(call.attribute("beta", 0.75))
    bias, rank = float(call.attribute("bias", 1.0)), call.operand(0).rank
    if rank < 3:
        call.refuse("normalises channels without pixels")
    return lambda x: F.local_response_norm(x, size, alpha, beta, bias)


def _lp_normalization(call: Call) -> Apply:
    """The numbers along an axis by their ℓp norm; 0 where all of them are 0."""
    axis, p = call.axis(int(call.attribute("axis", -1))), float(call.attribute("p", 2))

    def apply(x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x, p, dim=axis, keepdim=True)
        return x / norm.clamp(min=torch.finfo(x.dtype).smallest_normal)

    return apply


def _mean_variance(call: Call) -> Apply:
    """The numbers along some axes less their mean, by their deviation."""
    axes = call.axes(call.attribute("axes", [0, 2, 3]))

    def apply(x: Tensor) -> Tensor:
        rest = x - x.mean(axes, keepdim=True)
        return rest / (rest.square().mean(axes, keepdim=True).sqrt() + 1e-9)

    return apply


NORMALISATIONS: dict[str, Callable[[Call], Apply]] = {
    "BatchNormalization": on_images(_batch_norm),
    "InstanceNormalization": on_images(_instance_norm),
    "LayerNormalization": _layer_norm,
    "GroupNormalization": on_images(_group_norm),
    "LRN": on_images(_lrn),
    "LpNormalization": _lp_normalization,
    "MeanVarianceNormalization": _mean_variance,
}
