"""A network's first pass on the data for which it is used."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from inradius.data.dataset import Dataset
from inradius.errors import InputError, InradiusError
from inradius.models.modes import evaluating
from inradius.models.outputs import check_logits
from inradius.models.picked import picked


def check_forward(model: nn.Module, data: Dataset, check: Callable[[Tensor], None] | None = None) -> Tensor:
    """The outputs of the first example, (1, ...). Raises ``InputError`` where the model fails or they are not what they must be.

    ``check`` says what outputs must be, and gets the one tensor that is meant; without it they must be finite logits themselves.
    """
    x = data.inputs[:1].to(next((tensor.device for tensor in model.state_dict().values()), None))
    with evaluating(model), torch.no_grad():
        try:
            returned = model(x)
            logits = cast("Tensor", returned if check is None else picked(returned))
        except InradiusError:
            raise
        except Exception as error:  # a user's network may raise anything; the sentence names the inputs
            told = str(error).splitlines()[0] if str(error) else "no reason given"
            raise InputError(
                f"the model fails on inputs of shape {tuple(x.shape)} from {data.name}: {type(error).__name__}: {told}"
            ) from error
    if check is None:
        check_logits(logits, 1)
    else:
        check(logits)
    return logits
