"""A network whose answer is one of the tensors that another one returns."""

from typing import Any, cast

from torch import Tensor, nn

from inradius.errors import InputError
from inradius.models.picked import named_output, picked


class Picked(nn.Module):
    """The outputs of a model as one tensor: those named ``logits``, or the only tensor there is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Any) -> Tensor:
        """The outputs."""
        return cast("Tensor", picked(self.model(*inputs)))


def one_output(model: nn.Module, returned: object) -> tuple[nn.Module, Tensor]:
    """The model as one that returns a tensor, and that tensor; the model itself where ``returned``, its answer, is one."""
    if isinstance(returned, Tensor):
        return model, returned
    return Picked(model).train(model.training), cast("Tensor", picked(returned))


class Selected(nn.Module):
    """The output ``output`` of a model that returns several: the key of a dict, the name of an attribute, or the place in a tuple.

    Without it a model's outputs are those named ``logits``, or the only tensor there is.
    """

    def __init__(self, model: nn.Module, output: str | int) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise InputError(f"the model is a {type(model).__name__}; allowed is a torch.nn.Module")
        if isinstance(output, bool) or not isinstance(output, str | int):
            raise InputError(f"output={output!r} is not allowed; allowed is a name, or a place in a tuple from 0 on")
        self.model = model
        self.output = output

    def forward(self, *inputs: Any) -> Tensor:
        """The chosen output."""
        return named_output(self.model(*inputs), self.output)

    def extra_repr(self) -> str:
        """What is chosen."""
        return f"output={self.output!r}"
