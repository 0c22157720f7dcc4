"""Tensors by their names in one file."""

from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

from inradius.stored.checksum import BLANK, FIELD, sealed


def tensor_file(tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of these tensors, with its checksum."""
    # copies, because safetensors refuses tensors that share memory (tied weights)
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    return sealed(save(copies, metadata={FIELD: BLANK}))
