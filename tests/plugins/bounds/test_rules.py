"""Each layer rule compared with the layer itself: boxes, adjoints, windows, local rows and relaxations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inradius import InputError, Normalize, UnsupportedError
from inradius_bounds.backward.rows.units import UnitRows
from inradius_bounds.capture.trace import trace
from inradius_bounds.layout.block import AffineBlock
from inradius_bounds.rules import convolution

SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)


def conv(data):
    groups = data.draw(st.sampled_from([1, 2]))
    size = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    same = data.draw(st.booleans()) and stride == (1, 1)
    padding = "same" if same else data.draw(st.sampled_from([0, 1, (2, 1), "valid"]))
    channels = data.draw(st.sampled_from([2, 6])) if groups == 2 else data.draw(st.sampled_from([1, 3, 5]))
    return channels, nn.Conv2d(channels, 4, size, stride, padding, dilation, groups, bias=data.draw(st.booleans()))


def block_of(*layers, shape, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(*layers).double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            for parameter in norm.parameters():
                parameter.data.normal_()
    return trace(model, torch.zeros(1, *shape, dtype=torch.float64)).final


def check_affine(block: AffineBlock, seed=0):
    """The adjoint, the box, the chosen rows and the magnitudes of an affine block agree with its values."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    x, z = draw(2, *block.in_shape), draw(2, *block.in_shape)
    rows = draw(2, 3, *block.out_shape)
    linear = block(x) - block.offset(x)
    left = (rows * linear[:, None]).flatten(2).sum(2)
    torch.testing.assert_close(left, (block.adjoint(rows) * x[:, None]).flatten(2).sum(2))
    size = block.out_shape.numel()
    unit = block.unit_rows(torch.arange(size)[None].expand(2, -1), torch.float64)
    value = (unit.flatten(2) @ x.flatten(1)[..., None]).squeeze(2) + block.offset(x).flatten()
    torch.testing.assert_close(value, block(x).flatten(1))
    lower, upper = block.interval(torch.minimum(x, z), torch.maximum(x, z))
    for share in (0.0, 0.3, 1.0):
        inside = block(x + share * (z - x))
        assert bool((lower <= inside + 1e-12).all())
        assert bool((inside <= upper + 1e-12).all())
    if block.exact_interval:
        radius = (z - x).abs() / 2
        exact = (unit.flatten(2).abs() @ radius.flatten(1)[..., None]).squeeze(2)
        torch.testing.assert_close(((upper - lower) / 2).flatten(1), exact)
    bound = x.abs()
    for op in block.ops:
        bound = op.rule.magnitude(op, bound)
    assert bool((bound >= block(x).abs() - 1e-12).all())
    local = block.local_rows()
    if local is not None:
        index, weight = local
        padded = torch.cat([torch.zeros(2, 1, dtype=x.dtype), x.flatten(1)], dim=1)
        torch.testing.assert_close((padded[:, index + 1] * weight).sum(2), linear.flatten(1))


@SETTINGS
@given(st.data())
def test_convolutions_of_every_kind(data):
    channels, layer = conv(data)
    check_affine(block_of(layer, shape=(channels, 7, 6)))


@SETTINGS
@given(st.data())
def test_rows_of_strided_convolutions_are_those_of_torch(data):
    """Also where they are computed phase by phase, as many rows of few channels are."""
    small = st.integers(1, 3)
    step, channels, rows = data.draw(small), data.draw(st.integers(1, 4)), data.draw(st.sampled_from([3, 20]))
    kernel = tuple(step * data.draw(small) for _ in range(2))
    pad = tuple(data.draw(st.integers(0, length - 1)) for length in kernel)
    spare = tuple(data.draw(st.integers(0, step - 1)) for _ in range(2))
    layer = nn.Conv2d(channels, data.draw(small), kernel, step, bias=False).double()
    given = torch.randn(rows, layer.out_channels, data.draw(small) + 2, data.draw(small) + 2, dtype=torch.float64)
    right = nn.functional.conv_transpose2d(given, layer.weight, None, step, pad, spare)
    with torch.no_grad():
        torch.testing.assert_close(convolution._transposed(layer, given, pad, spare), right)


@SETTINGS
@given(st.data(), st.sampled_from([convolution._by_taps, convolution._folded]))
def test_rows_of_few_channels_are_those_of_torch_in_each_way(data, way):
    small, pair = st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, step, apart = data.draw(pair), data.draw(pair), data.draw(pair)
    pad = tuple(data.draw(st.integers(0, (length - 1) * each)) for length, each in zip(kernel, apart, strict=True))
    spare = tuple(data.draw(st.integers(0, each - 1)) for each in step)
    layer = nn.Conv2d(data.draw(small), data.draw(small), kernel, step, dilation=apart, bias=False).double()
    given = torch.randn(data.draw(small), layer.out_channels, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        right = nn.functional.conv_transpose2d(given, layer.weight, None, step, pad, spare, 1, apart)
        torch.testing.assert_close(way(layer, given, pad, spare), right)


def test_many_rows_of_few_channels_are_added_tap_by_tap():
    layer, given = nn.Conv2d(1, 8, 3, 1, 1, bias=False).double(), torch.randn(200, 8, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        assert convolution._of_few_channels(layer, given, strided=False) is convolution._by_taps
        right = nn.functional.conv_transpose2d(given, layer.weight, None, 1, 1)
        torch.testing.assert_close(convolution._transposed(layer, given, (1, 1)), right)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([nn.Linear(5, 4)], (5,)),
        ([nn.Linear(5, 4, bias=False)], (3, 5)),
        ([nn.Flatten(), nn.Linear(12, 4)], (3, 2, 2)),
        ([nn.Conv2d(2, 3, 3, 2, 1), nn.BatchNorm2d(3)], (2, 6, 6)),
        ([nn.BatchNorm2d(2, affine=False), nn.Conv2d(2, 3, 3)], (2, 6, 6)),
        ([Normalize([0.1, 0.2], [0.5, 2.0]), nn.Conv2d(2, 3, 3, padding=1)], (2, 5, 5)),
        ([Normalize(0.5, 0.25), nn.Flatten(), nn.Linear(8, 3)], (2, 2, 2)),
        ([nn.AvgPool2d(2)], (2, 5, 5)),
        ([nn.AvgPool2d((3, 2), stride=(2, 1), padding=1, ceil_mode=True, count_include_pad=False)], (2, 6, 5)),
        ([nn.AvgPool2d(2, divisor_override=3), nn.Flatten(), nn.Linear(8, 3)], (2, 4, 4)),
        ([nn.Conv2d(1, 2, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(2, 2, 3, padding=2)], (1, 5, 5)),
        ([nn.Identity(), nn.Sequential(nn.Sequential(nn.Linear(4, 3)), nn.Dropout(0.1))], (4,)),
    ],
    ids=str,
)
def test_affine_blocks(layers, shape):
    check_affine(block_of(*layers, shape=shape))


@SETTINGS
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0, 4)), min_size=1, max_size=6), st.floats(0, 1))
def test_relu_lies_between_its_lines(boxes, share):
    lower = torch.tensor([[low for low, _ in boxes]], dtype=torch.float64)
    upper = lower + torch.tensor([[width for _, width in boxes]], dtype=torch.float64)
    op = trace(nn.Sequential(nn.ReLU()), lower).hidden[0][1]
    z = lower + share * (upper - lower)
    relaxed = op.rule.relax(op, lower, upper)
    floor, ceiling = op.rule.lines(op, lower, upper)
    floor = [*floor, (relaxed.lower_slope, relaxed.lower_offset)]
    ceiling = [*ceiling, (relaxed.upper_slope, relaxed.upper_offset)]
    assert all(bool((slope * z + offset <= z.relu() + 1e-12).all()) for slope, offset in floor)
    assert all(bool((slope * z + offset >= z.relu() - 1e-12).all()) for slope, offset in ceiling)
    box = op.rule.interval(op, lower, upper)
    torch.testing.assert_close(torch.stack(box), torch.stack([lower.relu(), upper.relu()]))


CURVES = [
    nn.ReLU(), nn.LeakyReLU(), nn.Hardtanh(), nn.ReLU6(), nn.Softshrink(), nn.ELU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(),
    nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(),
]  # fmt: skip


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: type(curve).__name__)
def test_limits_that_are_not_numbers_decide_nothing(curve):
    nan = float("nan")
    lower = torch.tensor([[nan, -1.0, nan, nan, 1.0]], dtype=torch.float64)
    upper = torch.tensor([[1.0, nan, nan, -1.0, nan]], dtype=torch.float64)
    op = trace(nn.Sequential(curve).double(), lower).hidden[0][1]
    # a limit that excludes a kink decides a ReLU without the other one
    unknown = op.rule.undecided(op, lower, upper)[:, :3]
    assert bool(unknown.all())
    relaxed, (floor, ceiling) = op.rule.relax(op, lower, upper), op.rule.lines(op, lower, upper)
    floor = [*floor, (relaxed.lower_slope, relaxed.lower_offset)]
    ceiling = [*ceiling, (relaxed.upper_slope, relaxed.upper_offset)]
    for z in torch.linspace(-3, 3, 13, dtype=torch.float64):
        value = op(torch.full_like(lower, float(z)))
        # NaN proves nothing
        inside = ~((z < lower) | (z > upper))
        assert not any(bool((inside & (slope * z + offset > value + 1e-12)).any()) for slope, offset in floor)
        assert not any(bool((inside & (slope * z + offset < value - 1e-12)).any()) for slope, offset in ceiling)


@pytest.mark.parametrize(
    ("model", "fragment"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Hardshrink())), "model.1.0 .* uses hardshrink"),
        (nn.Sequential(nn.RReLU().train()), "model.0 .* which is random"),
        (nn.Sequential(nn.Flatten(0)), r"gives the shape \(16,\) for 1 inputs"),
        (nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False)), "running statistics"),
    ],
    ids=["unknown", "random", "flatten", "batch norm"],
)
def test_uncovered_layers_are_refused_at_once(model, fragment):
    with pytest.raises((UnsupportedError, InputError), match=fragment):
        trace(model, torch.zeros(1, 1, 4, 4))


def test_a_subclass_is_what_its_own_forward_says():
    mine = type("Mine", (nn.Linear,), {"forward": lambda self, x: x * 2})(4, 4)
    x = torch.rand(2, 4)
    torch.testing.assert_close(trace(mine, x).final(x), 2 * x)


def test_a_hook_is_part_of_what_a_layer_computes():
    model, x = nn.Sequential(nn.Linear(3, 2)), torch.rand(1, 3)
    plain = trace(model, x)(x)
    handle = model[0].register_forward_hook(lambda module, args, output: output * 2)
    torch.testing.assert_close(trace(model, x)(x), 2 * plain)
    handle.remove()
    torch.testing.assert_close(trace(model, x)(x), plain)


def test_a_changed_model_is_traced_again():
    model = nn.Sequential(nn.Linear(3, 2))
    x = torch.zeros(1, 3)
    first = trace(model, x)
    assert trace(model, x) is first
    model.append(nn.ReLU())
    assert len(trace(model, x).hidden) == 1


# torch warns once that it copies the input where it pads one side alone
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@SETTINGS
@given(st.data())
def test_the_windows_of_outputs_are_their_rows(data):
    channels, layer = conv(data)
    shape = (channels, 6, 7)
    torch.manual_seed(0)
    model = nn.Sequential(layer.requires_grad_(False)).double().eval()
    network = trace(model, torch.zeros(1, *shape, dtype=torch.float64)).network
    every = torch.arange(network.result.stored.numel()).expand(2, -1)
    found = UnitRows(every, None, torch.float64)
    for node in reversed(network.nodes[1:]):
        ((_, found),) = found.through(node)
    block = network.block(network.result)
    torch.testing.assert_close(found.dense(torch.Size(shape)).rows, block.unit_rows(every, torch.float64))
