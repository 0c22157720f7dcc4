"""The fast adaptive boundary attack, one class at a time."""

from collections.abc import Sequence
from typing import ClassVar

import attrs
from torch import Tensor

from inradius_minimal.fab import FAB


@attrs.frozen(kw_only=True)
class FABT(FAB):
    """``fab`` with a run of its own towards each of the ``classes`` wrong classes that the model thinks likeliest at x.

    A step costs one gradient, where that of ``fab`` costs one for every class.
    Source: croce2020fab, croce2020.
    """

    name: ClassVar[str] = "fab_t"

    def groups(self, aims: Tensor) -> Sequence[Tensor]:
        return [aim[:, None] for aim in aims.unbind(1)]
