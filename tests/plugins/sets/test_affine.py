"""Shifts along a few directions: laws, closed forms, and what they refuse."""

import numpy as np
import pytest
import torch

import inradius
from inradius import InputError, SpecError, ThreatModel, make
from inradius.testing import check_threat_model

SHAPE = (2, 2, 3)
SPECS = [
    "affine('colour', eps=0.2)",
    "affine('colour', eps=0.2, bounds=(0, 1))",
    "affine('brightness', eps=0.3, order='2')",
    "affine('ramps', eps=0.2)",
    "affine('ramps', eps=0.2, order='2')",
    "affine('colour', eps=0)",
]


@pytest.mark.parametrize("spec", SPECS)
def test_laws(spec):
    check_threat_model(spec, shape=SHAPE, examples=3)


@pytest.mark.parametrize("spec", [SPECS[1], SPECS[4]])
def test_laws_in_single_precision(spec):
    check_threat_model(spec, shape=SHAPE, examples=4, dtype=torch.float32)


def test_a_shift_of_colours():
    generator = torch.Generator().manual_seed(0)
    x = 0.2 + 0.6 * torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    c = torch.randn(2, 5, 3, 4, 4, generator=generator, dtype=torch.float64)
    free, boxed = (make(f"affine('colour', 0.3, bounds={b})", ThreatModel) for b in (None, (0, 1)))
    sums = c.sum((3, 4))
    torch.testing.assert_close(free.support(c, x), 0.3 * sums.abs().sum(2), rtol=1e-10, atol=0)
    assert (free.support(c, x) >= 0.3 * sums.abs().sum(2)).all()
    up, down = (1 - x.amax((2, 3))).clamp(max=0.3), (-x.amin((2, 3))).clamp(min=-0.3)
    best = torch.maximum(sums * up[:, None], sums * down[:, None]).sum(2)
    torch.testing.assert_close(boxed.support(c, x), best, rtol=1e-10, atol=0)
    shift = boxed.linear_max(c[:, 0], x)
    assert (shift == shift[..., :1, :1]).all()
    assert boxed.contains(shift, x, tol=1e-12).all()
    torch.testing.assert_close(free.project(c[:, 0], x)[..., 0, 0], c[:, 0].mean((2, 3)).clamp(-0.3, 0.3))


def test_half_precision_is_sound():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.rand(3, *SHAPE, generator=generator).to(dtype)
        c = torch.randn(3, 2, *SHAPE, generator=generator).to(dtype)
        for spec in SPECS[:4]:
            threat = make(spec, ThreatModel)
            delta = threat.linear_max(c[:, 0], x)
            assert delta.dtype == dtype
            assert threat.contains(delta, x).all()
            assert (threat.support(c, x).double() >= threat.support(c.double(), x.double()) * (1 - 1e-12)).all()


def test_a_basis_from_a_file(tmp_path):
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(12, 3)))[0].T.reshape(3, *SHAPE)
    np.save(tmp_path / "basis.npy", basis)
    threat = make(f"affine('{tmp_path / 'basis.npy'}', eps=0.4, order='2')", ThreatModel)
    assert make(str(threat)) == threat
    check_threat_model(threat, shape=SHAPE, examples=3)
    x = torch.zeros(1, *SHAPE, dtype=torch.float64)
    c = torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = 0.4 * (torch.from_numpy(basis).flatten(1) @ c.flatten()).norm()
    assert threat.support(c, x).item() == pytest.approx(expected.item(), rel=1e-12)


def test_bad_bases(tmp_path):
    with pytest.raises(SpecError, match="allowed are brightness, colour, ramps and the name"):
        make("affine(3, eps=1)")
    with pytest.raises(InputError, match="there is no file hue"):
        make("affine('hue', eps=1)")
    np.save(tmp_path / "skew.npy", np.ones((2, *SHAPE)))
    with pytest.raises(InputError, match="not orthogonal to each other"):
        make(f"affine('{tmp_path / 'skew.npy'}', eps=1)")
    with pytest.raises(SpecError, match="is not allowed for 'ramps' with order='inf'"):
        make("affine('ramps', eps=1, bounds=(0, 1))")
    with pytest.raises(SpecError, match="with order='2'"):
        make("affine('colour', eps=1, order='2', bounds=(0, 1))")
    with pytest.raises(InputError, match="are no images"):
        make("affine('ramps', eps=1)").check_inputs(torch.zeros(1, 3))
    assert inradius.make("affine('colour', eps=1)").check_inputs(torch.zeros(1, 3)) is None


@pytest.mark.parametrize(
    "spec", ["affine('ramps', eps=0.4)", "affine('ramps', eps=0.4, order='2')", "affine('brightness', eps=0.3)"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_member_of_a_batch_is_a_member_alone_and_anywhere_in_memory(spec, dtype):
    threat, generator = make(spec, ThreatModel), torch.Generator().manual_seed(0)
    for side in (3, 5, 8):
        x = torch.rand(17, 1, side, side, generator=generator, dtype=dtype)
        delta = threat.linear_max(torch.randn(x.shape, generator=generator, dtype=dtype), x)
        for oracle in (threat.gauge, threat.violation):
            together = oracle(delta, x)
            for place in range(17):
                own, elsewhere = slice(place, place + 1), torch.empty(x[0].numel() + 1, dtype=dtype)[1:]
                elsewhere.copy_(delta[place].flatten())
                assert torch.equal(oracle(delta[own], x[own]), together[own])
                assert torch.equal(oracle(elsewhere.view(x[own].shape), x[own]), together[own])
