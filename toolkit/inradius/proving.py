"""The certificate that is being made: what a certifier may need to know of it while it computes bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs
import torch


@attrs.frozen(eq=False)
class Proof:
    """A certificate in the making.

    dtype: the type in which the model was handed over, also while bounds are computed in a wider one; memo: whatever is
    worth keeping until the certificate is finished, such as the captured computation of the model.
    """

    dtype: torch.dtype
    memo: dict[Any, Any] = attrs.field(factory=dict)


_current: ContextVar[Proof | None] = ContextVar("inradius_proof", default=None)


@contextmanager
def proving(dtype: torch.dtype) -> Iterator[Proof]:
    """While the block runs, ``current_proof`` gives the certificate that is being made for a model of type ``dtype``."""
    proof = Proof(dtype)
    token = _current.set(proof)
    try:
        yield proof
    finally:
        _current.reset(token)


def current_proof() -> Proof | None:
    """The certificate that is being made; None where bounds are computed for training, or on their own."""
    return _current.get()
