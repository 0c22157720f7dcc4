"""Boxes and patches: laws, brute force, and what they refuse."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

import inradius
from inradius import SpecError, ThreatModel, make
from inradius.testing import check_threat_model, directions, inputs, perturbations

SHAPE = (2, 3, 4)
BOXES = [
    "box(lo=-0.1, hi=0.3)",
    "box(lo=(-0.1, 0), hi=(0.3, 0.2), bounds=None)",
    "box(lo=(-0.1, -0.2), hi=0.2, scale=2.5)",
    "box(lo=0, hi=0)",
]
PATCHES = ["patch(size=2)", "patch(2, eps=0.3, bounds=None)", "patch(size=9, eps=0.3)", "patch(1, eps=0)"]


@pytest.mark.parametrize("spec", [*BOXES, *PATCHES])
def test_laws(spec):
    check_threat_model(spec, shape=SHAPE, examples=3)


@pytest.mark.parametrize("spec", [BOXES[1], PATCHES[0]])
def test_laws_in_single_precision(spec):
    check_threat_model(spec, shape=SHAPE, examples=4, dtype=torch.float32)


def masks(size):
    """Every window, (M, *SHAPE)."""
    height, width = min(size, SHAPE[1]), min(size, SHAPE[2])
    found = []
    for row in range(SHAPE[1] - height + 1):
        for column in range(SHAPE[2] - width + 1):
            mask = torch.zeros(SHAPE, dtype=torch.float64)
            mask[:, row : row + height, column : column + width] = 1
            found.append(mask)
    return torch.stack(found)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(inputs(SHAPE), perturbations(SHAPE), directions(SHAPE), st.integers(1, 5), st.sampled_from([1.0, 0.25]))
def test_a_patch_agrees_with_brute_force(x, v, c, size, eps):
    threat = make(f"patch({size}, eps={eps})", ThreatModel)
    places = masks(size)
    low, high = (-x).clamp(min=-eps)[:, None], (1 - x).clamp(max=eps)[:, None]
    points = torch.maximum(torch.minimum(v[:, None], high), low) * places
    best = (v[:, None] - points).flatten(2).norm(dim=2).amin(1)
    torch.testing.assert_close((v - threat.project(v, x)).flatten(1).norm(dim=1), best, rtol=1e-12, atol=1e-12)
    direction = c[:, :1]
    value = (direction * torch.where(direction > 0, high, low) * places).flatten(2).sum(2).amax(1)
    support = threat.support(direction, x)[:, 0]
    assert (support >= value).all()
    torch.testing.assert_close(support, value, rtol=1e-12, atol=0)
    reached = (c[:, 0] * threat.linear_max(c[:, 0], x)).flatten(1).sum(1)
    torch.testing.assert_close(reached, value, rtol=1e-12, atol=0)
    outside = (v[:, None].abs() * (1 - places)).flatten(2).amax(2).amin(1)
    assert torch.equal(make(f"patch({size}, bounds=None)").violation(v, x), outside)


def test_the_gauge_of_a_patch_is_its_amplitude():
    x = torch.full((1, 1, 4, 4), 0.5)
    delta = torch.zeros_like(x)
    delta[..., 1, 1], delta[..., 2, 2] = 0.2, -0.1
    threat = make("patch(2, eps=0.4)", ThreatModel)
    assert threat.gauge(delta, x) == pytest.approx(0.5)
    assert threat.violation(delta, x) == 0
    assert make("patch(1, eps=0.4)").violation(delta, x) == pytest.approx(0.1)


def test_a_symmetric_box_is_the_ball():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 4, 4, generator=generator, dtype=torch.float64)
    c = torch.randn(3, 2, 1, 4, 4, generator=generator, dtype=torch.float64)
    box, ball = make("box(lo=-0.2, hi=0.2)", ThreatModel), make("linf(0.2)", ThreatModel)
    assert box.symmetric
    assert torch.equal(box.support(c, x), ball.support(c, x))
    assert torch.equal(box.project(c[:, 0], x), ball.project(c[:, 0], x))
    assert torch.equal(box.steepest(c[:, 0], x, x), ball.steepest(c[:, 0], x, x))


@pytest.fixture
def sides(tmp_path):
    low = -np.linspace(0, 0.3, 24).reshape(SHAPE)
    np.save(tmp_path / "low.npy", low)
    return tmp_path / "low.npy"


def test_a_box_from_a_file(sides):
    threat = make(f"box(lo='{sides}', hi=0.1)", ThreatModel)
    check_threat_model(threat, shape=SHAPE, examples=3)
    x = torch.full((1, *SHAPE), 0.5, dtype=torch.float64)
    torch.testing.assert_close(threat.hull(x)[0][0], torch.from_numpy(np.load(sides)))
    assert "#sha256=" in str(threat)
    assert make(str(threat)) == threat == make(f"box(lo='{sides}', hi=0.1)")


def test_a_file_that_changed_is_refused(sides):
    threat = make(f"box(lo='{sides}', hi=0.1)", ThreatModel)
    np.save(sides, np.zeros(SHAPE))
    with pytest.raises(inradius.InputError, match="has changed since"):
        make(str(threat))
    assert make(f"box(lo='{sides}', hi=0.1)") != threat


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("box(lo=0.1, hi=0.3)", r"lo=0.1 is on the wrong side of 0; allowed is lo ≤ 0 ≤ hi"),
        ("box(lo=-1, hi=(0.3, -0.1))", "hi=.* is on the wrong side of 0"),
        ("box(lo=-1e999, hi=1)", "allowed are a finite number"),
        ("box(lo=-1, hi=())", "allowed are a finite number"),
        ("patch(size=0)", "allowed is an integer ≥ 1"),
    ],
)
def test_bad_parameters(spec, message):
    with pytest.raises(SpecError, match=message):
        make(spec)


def test_bad_files(tmp_path, sides):
    with pytest.raises(inradius.InputError, match="there is no file"):
        make("box(lo='nowhere.npy', hi=1)")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(inradius.InputError, match="is not an array of numbers"):
        make(f"box(lo='{tmp_path / 'text.npy'}', hi=1)")
    np.save(tmp_path / "nan.npy", np.full(SHAPE, np.nan))
    with pytest.raises(inradius.InputError, match="NaN or infinite"):
        make(f"box(lo='{tmp_path / 'nan.npy'}', hi=1)")
    with pytest.raises(inradius.InputError, match="needed is that of an input"):
        make(f"box(lo='{sides}', hi=1)").check_inputs(torch.zeros(1, 3))
    np.save(sides, -np.load(sides))
    with pytest.raises(inradius.InputError, match="lo is on the wrong side of 0 for 23 features"):
        make(f"box(lo='{sides}', hi=1)").check_inputs(torch.zeros(1, *SHAPE))


def test_bad_inputs():
    with pytest.raises(inradius.InputError, match="2 numbers were given for inputs of shape"):
        make("box(lo=(-1, 0), hi=1)").check_inputs(torch.zeros(1, 3))
    with pytest.raises(inradius.InputError, match="are no images"):
        make("patch(2)").check_inputs(torch.zeros(1, 3))


@pytest.mark.parametrize(
    "spec",
    [BOXES[0], PATCHES[0], "l0(2)", "affine('colour', eps=0.1)", "intersection(linf(0.1), l2(0.2))"],
)
def test_an_empty_batch(spec):
    threat = make(spec, ThreatModel)
    x = torch.zeros(0, *SHAPE)
    for answer in (threat.project(x, x), threat.linear_max(x, x), threat.sample(x), *threat.hull(x)):
        assert answer.shape == x.shape
    assert threat.contains(x, x).shape == (0,)
    assert threat.support(torch.zeros(0, 3, *SHAPE), x).shape == (0, 3)


def test_half_precision_stays_inside_and_sound():
    generator = torch.Generator().manual_seed(0)
    for spec in ("box(lo=-0.1, hi=0.3)", "patch(2, eps=0.4)"):
        threat = make(spec, ThreatModel)
        for dtype in (torch.float16, torch.bfloat16):
            x = torch.rand(4, *SHAPE, generator=generator).to(dtype)
            c = torch.randn(4, 3, *SHAPE, generator=generator).to(dtype)
            delta = threat.linear_max(c[:, 0], x)
            assert delta.dtype == dtype
            assert threat.contains(delta.float(), x.float(), tol=1e-6).all()
            assert (threat.support(c, x).double() >= threat.support(c.double(), x.double())).all()
