"""Products of matrices."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from inradius.models.onnx.call import Apply, Call


def _matmul(call: Call) -> Apply:
    """The product of stacks of matrices, of vectors too."""
    if call.outside and call.operand(0).batch is not None and call.operand(0).rank == 1:
        if call.operand(1).batch is not None or call.operand(1).rank > 2:
            call.refuse("multiplies the network's vector by more than one matrix")
        return lambda a, b: a @ b
    if call.outside and call.operand(1).batch is not None and call.operand(1).rank == 1:
        # the vector stands on the right: the product of each row of the matrix with it
        if call.operand(0).batch is not None or call.operand(0).rank > 2:
            call.refuse("multiplies the network's vector by more than one matrix")
        return lambda a, b: b @ a.mT if a.dim() > 1 else b @ a
    return torch.matmul


def _gemm(call: Call) -> Apply:
    """α A B + β C, with A and B transposed where the node says so."""
    alpha, beta = float(call.attribute("alpha", 1.0)), float(call.attribute("beta", 1.0))
    first, second = bool(call.attribute("transA", 0)), bool(call.attribute("transB", 0))
    if call.operand(0).rank != 2 or call.operand(1).rank != 2:
        call.refuse("multiplies tensors that are no matrices")
    bias = (call.operand(1).shape[0 if second else 1],)
    if call.has(2) and call.operand(2).batch is None and alpha == beta == 1 and call.operand(2).shape == bias:
        return lambda a, b, c: F.linear(a.mT if first else a, b if second else b.t(), c)

    def apply(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product = F.linear(a.mT if first else a, b if second else b.mT)
        product = product if alpha == 1 else product * alpha
        return product if c is None else product + (c if beta == 1 else c * beta)

    return apply


def _einsum(call: Call) -> Apply:
    """The sum of products that an equation names."""
    equation = str(call.attribute("equation", "")).replace(" ", "")
    if call.outside:
        call.refuse("sums products over named axes in a network without an axis of examples")
    return lambda *tensors: torch.einsum(equation, *tensors)


PRODUCTS: dict[str, Callable[[Call], Apply]] = {"MatMul": _matmul, "Gemm": _gemm, "Einsum": _einsum}
