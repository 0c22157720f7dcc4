"""The mode of a model while it is attacked or certified; it is restored afterwards."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inradius.errors import InputError
from inradius.models.initialised import check_initialised

# eval: running statistics; train: batch statistics, running ones updated; train_notrack: batch statistics, nothing updated
BatchNormMode = Literal["eval", "train", "train_notrack"]


@contextmanager
def evaluating(model: object, bn_mode: BatchNormMode = "eval") -> Iterator[None]:
    """A block with the model in eval mode (BatchNorm as ``bn_mode`` says); each module's mode is restored."""
    if bn_mode not in get_args(BatchNormMode):
        raise InputError(f"bn_mode={bn_mode!r} is not a mode; allowed are {', '.join(get_args(BatchNormMode))}")
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    before = [(module, module.training) for module in modules]
    norms = [module for module in modules if isinstance(module, _BatchNorm)]
    tracked = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    recurrent = [(module, module.dropout) for module in modules if isinstance(module, nn.RNNBase) and _by_cudnn(module)]
    # torch takes long to set an attribute of a module
    for module in modules:
        if module.training:
            module.training = False
    for network, _ in recurrent:
        # cuDNN differentiates recurrent layers in training mode alone, and without dropout both modes are the same
        network.training, network.dropout = True, 0.0
    if bn_mode != "eval":
        for norm in norms:
            norm.training = True
    if bn_mode == "train_notrack":
        for norm in norms:
            # momentum 0 keeps the running statistics; None would be a cumulative average over a count
            norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for module, training in before:
            if module.training is not training:
                module.training = training
        for network, dropout in recurrent:
            network.dropout = dropout
        if bn_mode == "train_notrack":
            for norm, momentum, count in tracked:
                norm.momentum, norm.num_batches_tracked = momentum, count


def _by_cudnn(layer: nn.RNNBase) -> bool:
    return torch.backends.cudnn.enabled and any(parameter.is_cuda for parameter in layer.parameters())


@contextmanager
def frozen(model: object, bn_mode: BatchNormMode = "eval") -> Iterator[None]:
    """A block like ``evaluating`` in which no parameter needs a gradient; each parameter's flag is restored.

    Gradients in the input are on, even within a caller's ``no_grad`` or ``inference_mode``. Raises ``InputError`` where the model
    is lazy, because its parameters have no flags yet.
    """
    check_initialised(model)
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    with evaluating(model, bn_mode), torch.inference_mode(False), torch.enable_grad():
        for parameter in wanted:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in wanted:
                parameter.requires_grad_(True)


def uncompiled() -> AbstractContextManager[object]:
    """A block in which modules that ``torch.compile`` made run as they are written."""
    # before its import nothing is compiled; torch has this switch from 2.6 on
    known = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")
    return torch.compiler.set_stance("force_eager") if known else nullcontext()


@contextmanager
def full_precision() -> Iterator[None]:
    """A block without TF32, autocast and reduced-precision accumulation: products are as exact as their dtype."""
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, conv.allow_tf32)
    sums = (matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction)
    matmul.allow_tf32 = conv.allow_tf32 = False
    matmul.allow_fp16_reduced_precision_reduction = matmul.allow_bf16_reduced_precision_reduction = False
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        matmul.allow_tf32, conv.allow_tf32 = before
        matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction = sums


@contextmanager
def subnormals_kept() -> Iterator[None]:
    """A block in which the CPU computes with subnormal numbers, and neither reads nor writes them as 0."""
    flushed = float(torch.full((), 2.0**-140) * 1.0) == 0
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)


@contextmanager
def covered_kernels() -> Iterator[None]:
    """A block with kernels that certificates at level "float" cover: each output is one sum of rounded products, in some order.

    It is ``full_precision`` without NNPACK and cuDNN, whose convolutions may use Winograd or FFT. The caller is
    responsible for environment variables, and for float32 products in float32 on CPUs
    (``torch.set_float32_matmul_precision``).
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        with torch.backends.nnpack.flags(enabled=False), full_precision():
            yield
    finally:
        torch.backends.cudnn.enabled = before


def at_least(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The values in ``dtype`` where they are in a shorter type, as after autocast; else unchanged."""
    reduced = values.is_floating_point() and torch.finfo(values.dtype).bits < torch.finfo(dtype).bits
    return values.to(dtype) if reduced else values
