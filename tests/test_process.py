"""One process on its own is all processes."""

import pytest
import torch
from torch import nn

from inradius.processes import Processes

CPU = torch.device("cpu")


def test_a_process_on_its_own_holds_everything():
    alone = Processes(None, CPU)
    values, layer = torch.arange(5), nn.BatchNorm1d(2)
    before = [value.clone() for value in layer.state_dict().values()]
    assert (alone.rank, alone.count, alone.main, alone.device) == (0, 1, True, CPU)
    assert torch.equal(alone.shard(values), values)
    assert torch.equal(alone.gather(values), values)
    assert torch.equal(alone.sum(values), values)
    assert alone.broadcast("word") == alone.on_main(lambda: "word") == "word"
    assert alone.gather_objects("word") == alone.gather_on_main("word") == ["word"]
    alone.agree(layer)
    alone.average_buffers(layer)
    alone.wait()
    assert all(torch.equal(a, b) for a, b in zip(before, layer.state_dict().values(), strict=True))


def test_the_error_of_the_main_process_is_raised():
    with pytest.raises(ZeroDivisionError):
        Processes(None, CPU).on_main(lambda: 1 / 0)
