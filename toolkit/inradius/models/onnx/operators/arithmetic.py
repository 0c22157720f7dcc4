"""Sums, products, quotients and extremes of several tensors, broadcast as numpy does."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.broadcast import broadcast


def _of_two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return broadcast(call, function)

    return lower


def _div(call: Call) -> Apply:
    """The quotient; that of integers without its fraction."""
    if call.operand(0).dtype.is_floating_point:
        return broadcast(call, torch.div)
    _check_divisor(call)
    return broadcast(call, lambda a, b: torch.div(a, b, rounding_mode="trunc"))


def _check_divisor(call: Call) -> None:
    divisor = call.operand(1).constant
    if divisor is None or bool((divisor == 0).any()):
        call.refuse("divides integers by 0, or by numbers that depend on the network's input")


def _pow(call: Call) -> Apply:
    """The power; a constant exponent with one number is that number."""
    base, exponent = call.operand(0), call.operand(1)
    if not base.dtype.is_floating_point:
        call.refuse("raises integers to powers; allowed are floating-point numbers")
    single = exponent.constant is not None and exponent.constant.numel() == 1 and exponent.rank <= base.rank
    if single and exponent.several is None:
        number = call.static(1).item()
        number = int(number) if float(number).is_integer() else number
        return lambda a, _: torch.pow(a, number)
    return broadcast(call, lambda a, b: torch.pow(a, b).to(a.dtype))


def _mod(call: Call) -> Apply:
    """The remainder, with the sign of the divisor, or of the dividend with ``fmod``."""
    if call.attribute("fmod", 0):
        if not call.operand(0).dtype.is_floating_point:
            _check_divisor(call)
        return broadcast(call, torch.fmod)
    if call.operand(0).dtype.is_floating_point:
        call.refuse("takes the remainder of floating-point numbers without fmod; the standard does not allow it")
    _check_divisor(call)
    return broadcast(call, torch.remainder)


def _of_many(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return broadcast(call, lambda *tensors: reduce(function, tensors))

    return lower


def _mean(call: Call) -> Apply:
    """The mean of several tensors."""
    count = len(call.operands)
    return broadcast(call, lambda *tensors: reduce(torch.add, tensors) / count)


ARITHMETIC: dict[str, Callable[[Call], Apply]] = {
    "Add": _of_two(torch.add),
    "Sub": _of_two(torch.sub),
    "Mul": _of_two(torch.mul),
    "Div": _div,
    "Pow": _pow,
    "Mod": _mod,
    "Sum": _of_many(torch.add),
    "Mean": _mean,
    "Max": _of_many(torch.maximum),
    "Min": _of_many(torch.minimum),
}
