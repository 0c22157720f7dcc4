"""A later run of a model is compared with its first."""

import pytest
import torch

from inradius import UnsupportedError
from inradius.models.later_run import check_later_run


def differing(by, bits, dtype=torch.float32):
    x = torch.tensor([[1.0, -4.0]], dtype=dtype)
    check_later_run(lambda given: given + by, x, x, bits=bits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_outputs_pass_and_others_are_refused(dtype):
    step = float(torch.finfo(dtype).eps)
    differing(0.0, True, dtype)
    # one unit in the last place of the largest number is rounding
    differing(2 * step, False, dtype)
    with pytest.raises(UnsupportedError, match="function changes its own values from run to run"):
        differing(2 * step, True, dtype)
    with pytest.raises(UnsupportedError, match="other outputs for the same inputs"):
        differing(8 * step**0.5, False, dtype)


def test_another_number_of_outputs_and_numbers_that_are_none_are_refused():
    x = torch.ones(2, 3)
    for later in (lambda given: given[:, :2], lambda given: given * torch.nan):
        with pytest.raises(UnsupportedError, match="from run to run"):
            check_later_run(later, x, x, bits=False)
    check_later_run(lambda given: given, x[:0], x[:0], bits=True)
