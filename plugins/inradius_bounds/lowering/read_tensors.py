"""The tensors of a model that constants were computed from, which tell whether the constants still hold."""

import attrs
import torch
from torch import Tensor

from inradius_bounds.capture.compare import bits, same_kind

# more bytes are not copied
_MOST = 1 << 26


@attrs.define(eq=False)
class ReadTensors:
    """Tensors and copies of their numbers. lost: true where they are not known, because they are large or gradients pass them."""

    lost: bool = False
    # tensors, their copies and the copies' bits
    _copies: dict[int, tuple[Tensor, Tensor, Tensor]] = attrs.field(factory=dict)
    _bytes: int = 0

    def note(self, tensor: Tensor) -> None:
        """Remembers the numbers of a tensor."""
        if self.lost or id(tensor) in self._copies:
            return
        self._bytes += tensor.numel() * tensor.element_size()
        if self._bytes > _MOST or not _plain(tensor):
            self.lost = True
            self._copies.clear()
        else:
            copy = tensor.detach().clone()
            self._copies[id(tensor)] = tensor, copy, bits(copy)

    @property
    def unchanged(self) -> bool:
        """True if all tensors have the bits that they had."""
        return not self.lost and all(_same(*each) for each in self._copies.values())

    def forget(self) -> None:
        """Drops all tensors."""
        self._copies.clear()
        self.lost, self._bytes = False, 0


def _plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_complex() and not tensor.is_meta


def _same(tensor: Tensor, copy: Tensor, its_bits: Tensor) -> bool:
    return _plain(tensor) and same_kind(tensor, copy) and torch.equal(bits(tensor), its_bits)
