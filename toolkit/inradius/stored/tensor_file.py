"""Tensors by their names in one file."""

from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

from inradius.stored.checksum import BLANK, FIELD, sealed


def tensor_file(tensors: Mapping[str, Tensor], told: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of these tensors, with its checksum, and with the entries ``told`` beside it."""
    # copies, because safetensors refuses tensors that share memory (tied weights)
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    return sealed(save(copies, metadata={**(told or {}), FIELD: BLANK}))
