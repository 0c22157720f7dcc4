"""What a certificate says of the perturbations at which its certifier found a property violated."""

import torch
from certifier_toys import DOUBLE, Told, Two, affine, batch
from toy_sets import Cube

from inradius import Bounds

FLOAT = torch.float32


def certificate(answers, threat=None, count=4, dtype=FLOAT):
    """The certificate of a certifier that gives these answers in turn, each (value of each example, witness of each or None)."""
    calls = iter(answers)

    def bounds(x, prop):
        value, marks = next(calls)
        witness = None if marks is None else torch.tensor(marks, dtype=x.dtype)[:, None].expand_as(x)
        return Bounds(
            torch.tensor(value, dtype=x.dtype)[:, None].expand_as(prop.offsets), witness=witness, claim="float"
        )

    x, y = batch(count, dtype=dtype)
    return Told(bounds=bounds)(affine(dtype=dtype), x, y % 3, threat or Cube())


def marks(proof):
    """The first number of each witness, None for NaN."""
    assert proof.witness is not None
    rows = proof.witness.flatten(1)
    assert bool(((rows == rows[:, :1]) | rows.isnan().all(1, keepdim=True)).all())
    return [None if value != value else round(value, 6) for value in rows[:, 0].tolist()]


def test_a_witness_belongs_to_an_example_that_is_not_certified():
    nan = torch.nan
    assert marks(certificate([([1, -1, -1, 1], [0.1, 0.2, nan, nan])])) == [None, 0.2, None, None]
    assert certificate([([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4])]).witness is None
    assert certificate([([-1, -1, -1, -1], None)]).witness is None


def test_a_second_pass_keeps_and_adds_witnesses():
    nan, open_ = torch.nan, 1e-6
    first = ([-1, open_, open_, 1], [0.1, 0.2, nan, nan])
    assert marks(certificate([first, ([-1, -1], [nan, 0.4])])) == [0.1, 0.2, 0.4, None]
    assert marks(certificate([first, ([-1, 1], None)])) == [0.1, 0.2, None, None]
    assert marks(certificate([([-1, open_, open_, 1], None), ([-1, -1], [nan, 0.4])])) == [None, None, 0.4, None]


def test_a_union_has_the_witness_of_any_member():
    nan = torch.nan
    answers = [([-1, 1, -1, 1], [0.1, nan, nan, nan]), ([-1, -1, -1, 1], [0.2, 0.3, nan, nan])]
    assert marks(certificate(answers, Two(eps=0.2), dtype=DOUBLE)) == [0.1, 0.3, None, None]
    assert certificate([([-1] * 4, None)] * 2, Two(eps=0.2), dtype=DOUBLE).witness is None
