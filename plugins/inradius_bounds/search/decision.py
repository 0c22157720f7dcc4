"""What a search decides about one example, and about the union of several sets."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class Decision:
    """The decision about one example.

    value (K,): lower bounds of the rows. proved: true where the property is proved. witness (1, *S): a perturbation that violates
    it, or None. unsure: true where a part of the set is too near the boundary to be decided. real: true where a part is proved at
    level "real" only.
    """

    value: Tensor
    proved: bool
    witness: Tensor | None = None
    unsure: bool = False
    real: bool = False

    @classmethod
    def over(cls, parts: Sequence["Decision"]) -> "Decision":
        """The decision about a union of sets; each of them is proved where the union is."""
        witness = next((part.witness for part in parts if part.witness is not None), None)
        proved = all(part.proved for part in parts) and witness is None
        unsure, real = any(part.unsure for part in parts), any(part.real for part in parts)
        return cls(torch.stack([part.value for part in parts]).amin(0), proved, witness, unsure, real)
