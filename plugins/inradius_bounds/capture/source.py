"""The place in the user's code that an operator comes from."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import torch
from torch import nn

IN_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)


def place(paths: Mapping[int, str]) -> str:
    """The innermost running module, by its path, and the innermost line outside of torch."""
    frame: FrameType | None = sys._getframe(1)
    module, line = "", ""
    while frame is not None and not (module and line):
        module = module or _module(frame, paths)
        line = line or line_of(frame)
        frame = frame.f_back
    return " ".join(part for part in (module, f"({line})" if line else "") if part) or "the model"


def line_of(frame: FrameType) -> str:
    """The file and the line of a frame; empty for torch and for the recorder."""
    file = frame.f_code.co_filename
    if file.startswith((IN_TORCH, _HERE, "<")) or frame.f_code.co_name == "__torch_function__":
        return ""
    return f"{Path(file).name}:{frame.f_lineno}"


def _module(frame: FrameType, paths: Mapping[int, str]) -> str:
    if frame.f_code.co_name not in ("forward", "_call_impl"):
        return ""
    owner = frame.f_locals.get("self")
    return paths.get(id(owner), "") if isinstance(owner, nn.Module) else ""
