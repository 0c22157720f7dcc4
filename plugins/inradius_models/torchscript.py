"""Programs that ``torch.jit.save`` wrote, for attacks."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from inradius import InputError


class TorchScriptModel(nn.Module):
    """The program of a TorchScript file."""

    def __init__(self, program: nn.Module, path: str) -> None:
        super().__init__()
        self.program = program
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of the program."""
        found: Tensor = self.program(x)
        return found

    def extra_repr(self) -> str:
        """The file."""
        return f"path={self.path!r}"


def torchscript(path: str) -> nn.Module:
    """The network of a TorchScript file, for attacks: gradients pass it, but certifiers may not see all of its operators.

    path: a file that ``torch.jit.save`` wrote. Its program runs, so that the file must come from someone you trust, which a
    warning says. Raises ``InputError`` for a file that is missing or no such program.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"there is no file {file}; torchscript needs one that torch.jit.save wrote")
    warnings.warn(
        f"torchscript runs the program in {file}, which must come from someone you trust; attacks take it, and for "
        "certificates the network itself is needed, as file.py:factory with its weights, or exported to ONNX",
        stacklevel=2,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch advises against the format, which is the user's choice
            program = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, EOFError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{file} is no TorchScript program ({reason}); torchscript needs one that torch.jit.save wrote"
        ) from error
    return TorchScriptModel(program, path).eval()
