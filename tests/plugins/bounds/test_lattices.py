"""Pixels at regular distances keep rows of convolutions as windows: max-pooling, strided slices and crops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_turn import in_turn
from torch import nn

import inradius
from inradius import Certifier, ThreatModel
from inradius.outcomes.property import Property
from inradius_bounds.backward import inner_bounds
from inradius_bounds.backward.rows.windows import WindowRows
from inradius_bounds.capture.trace import network_of
from inradius_bounds.steps.move import Lattice

F64 = torch.float64


class Sliced(nn.Module):
    """Differences of shifted and strided slices between convolutions."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 2, 2)
        self.out = nn.LazyLinear(3)

    def forward(self, x):
        h = torch.relu(self.first(x))
        h = h[:, :, ::2, 1::2] - h[:, :, 1::2, ::2] + h[:, :, 2:6, 3:7]
        return self.out(torch.relu(self.second(h)).flatten(1))


def pooled(*size, **options):
    torch.manual_seed(1)
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*size, **options), nn.Conv2d(4, 3, 2), nn.ReLU())
    return nn.Sequential(*layers, nn.MaxPool2d(2, 1), nn.Flatten(), nn.LazyLinear(3))


NETWORKS = {
    "pool": lambda: pooled(2),
    "overlapping": lambda: pooled(3, 2),
    "padded": lambda: pooled(3, 2, padding=1),
    "slices": Sliced,
}


@pytest.mark.parametrize(("kind", "spec"), in_turn([*NETWORKS], ["linf(eps=0.05)", "l2(eps=0.3)"]))
def test_windows_are_only_a_faster_way_to_the_same_bounds(kind, spec, monkeypatch):
    torch.manual_seed(0)
    x = torch.rand(2, 1, 8, 8, dtype=F64)
    net = NETWORKS[kind]()
    net(x.float())
    net.double().eval()
    threat, y = inradius.make(spec, ThreatModel), torch.tensor([0, 1])
    for certifier in (inradius.make(each, Certifier) for each in ("crown()", "alpha(steps=1)")):
        windows, alone = certifier(net, x, y, threat).lower, certifier(net, x[1:], y[1:], threat).lower
        with monkeypatch.context() as patch:
            patch.setattr(WindowRows, "small", lambda self, shape: False)
            whole = certifier(net, x, y, threat).lower
        torch.testing.assert_close(windows, whole, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(windows[1:], alone, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "net", [pooled(2), pooled(3, 2), nn.Sequential(pooled(2), nn.Unflatten(1, (1, 3)), nn.MaxPool1d(3))]
)
def test_numbers_that_are_not_the_largest_of_a_window_need_no_rows(net, monkeypatch):
    """The bounds are those with rows for all of them, and there are fewer rows."""
    x = torch.rand(2, 1, 8, 8, dtype=F64, generator=torch.Generator().manual_seed(3))
    net(x.float())
    net.double().eval()
    threat = inradius.make("linf(eps=0.03)", ThreatModel)
    outputs = net(x).flatten(1).shape[1]
    eye = torch.eye(outputs, dtype=F64)
    prop = Property(torch.cat([eye, -eye]).expand(2, -1, -1), torch.zeros(2, 2 * outputs, dtype=F64))
    model, counts = nn.Sequential(net, nn.Flatten()), []
    rows_of = inner_bounds._row_bounds

    def counted(before, node, index):
        counts[-1] += index.shape[1]
        return rows_of(before, node, index)

    monkeypatch.setattr(inner_bounds, "_row_bounds", counted)
    found = []
    for chosen in (inner_bounds.beaten, lambda values, node: None):
        monkeypatch.setattr(inner_bounds, "beaten", chosen)
        counts.append(0)
        # crown takes maxima over windows as one step, where they do not overlap
        found.append(inradius.make("alpha(steps=1)", Certifier)(model, x, None, threat, prop=prop).lower)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
    assert counts[0] < counts[1]


@given(st.data())
def test_a_lattice_is_found_exactly_where_a_slice_has_one(data):
    channels, height, width = (data.draw(st.integers(1, 5)) for _ in range(3))
    numbers = torch.arange(channels * height * width).view(channels, height, width)
    axes = [slice(data.draw(st.integers(0, n - 1)), n, data.draw(st.integers(1, 4))) for n in (height, width)]
    places = numbers[:, axes[0], axes[1]]
    found = Lattice.of(places.flatten(), numbers.shape, places.shape)
    assert found is not None
    assert torch.equal(found.chosen(numbers, places.shape), places)
    if places.numel() > 1:
        other = places.flatten().flip(0)
        assert Lattice.of(other, numbers.shape, places.shape) is None


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 1), (3, 2), (2, 3), (3, 5)])
def test_windows_share_what_is_compared_along_one_axis(size, stride):
    """Along the first axis only columns that some window has are compared, and each of them once for each row of windows."""
    length = 9
    pool = nn.Sequential(nn.MaxPool2d(size, stride), nn.Flatten())
    network = network_of(pool, torch.rand(1, 1, length, length))
    windows = (length - size) // stride + 1
    columns = len({start * stride + place for start in range(windows) for place in range(size)})
    compared = sum(node.stored.numel() for node in network.curves)
    assert compared == (size - 1) * windows * (columns + windows)
