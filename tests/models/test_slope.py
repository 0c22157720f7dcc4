"""The gradient that a search follows: that of torch, and 0 where there is none."""

import torch

from inradius.models.slope import slope


def test_it_is_the_gradient_where_there_is_one():
    point = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(slope(point.square().sum(1), point), 2 * point.detach())


def test_it_is_zero_where_there_is_none():
    point = torch.tensor([[0.0, 2.0]], requires_grad=True)
    learned = torch.ones(1, requires_grad=True)
    for value in (torch.ones(1), learned * 2, point.round().int().float(), point.detach() * learned):
        assert torch.equal(slope(value, point), torch.zeros(1, 2))
    # the slope of a root is infinite at 0
    assert slope(point.sqrt(), point)[0, 0] == 0
    assert slope(point.sqrt() * 0, point).tolist() == [[0.0, 0.0]]
