"""The tensors of a model that constants were computed from, which tell whether the constants still hold."""

import attrs
import torch
from torch import Tensor

from inradius.certifiers.certificate_in_progress import current_certificate
from inradius_bounds.capture.compare import bits, same_kind

# more bytes are not copied
_MOST = 1 << 26


@attrs.define(eq=False)
class ReadTensors:
    """Tensors and copies of their numbers.

    lost: true where they are not known, because they are large or gradients pass them. changes: how often they were dropped.
    """

    lost: bool = False
    changes: int = 0
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

    def update(self) -> int:
        """The count of changes, one more where a tensor has changed, or gradients are recorded. All tensors are dropped then.

        A certificate compares them once: its bounds are those of the numbers that were read then.
        """
        proof = current_certificate()
        if torch.is_grad_enabled() or proof is None or self not in proof.memo:
            if torch.is_grad_enabled() or self.lost or not all(_same(*each) for each in self._copies.values()):
                self._copies.clear()
                self.lost, self._bytes, self.changes = False, 0, self.changes + 1
            if proof is not None:
                proof.memo[self] = True
        return self.changes


def _plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_complex() and not tensor.is_meta


def _same(tensor: Tensor, copy: Tensor, its_bits: Tensor) -> bool:
    return _plain(tensor) and same_kind(tensor, copy) and torch.equal(bits(tensor), its_bits)
