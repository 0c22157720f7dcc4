"""Functions of each number that are no activations of networks."""

from collections.abc import Callable

import torch
from torch import Tensor

from inradius.models.onnx.call import Apply, Call


def _plain(function: Callable[[Tensor], Tensor]) -> Callable[[Call], Apply]:
    def lower(call: Call) -> Apply:
        return function

    return lower


ELEMENTWISE: dict[str, Callable[[Call], Apply]] = {
    "Neg": _plain(torch.neg),
    "Abs": _plain(torch.abs),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Erf": _plain(torch.erf),
    "Sign": _plain(torch.sign),
    "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil),
    "Round": _plain(torch.round),
    "Sin": _plain(torch.sin),
    "Cos": _plain(torch.cos),
    "Tan": _plain(torch.tan),
    "Asin": _plain(torch.asin),
    "Acos": _plain(torch.acos),
    "Atan": _plain(torch.atan),
    "Sinh": _plain(torch.sinh),
    "Cosh": _plain(torch.cosh),
    "Asinh": _plain(torch.asinh),
    "Acosh": _plain(torch.acosh),
    "Atanh": _plain(torch.atanh),
    "Identity": _plain(lambda x: x),
}
