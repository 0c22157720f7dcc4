"""Successes of the attacks that stop on the boundary fool again: alone, in batches of any size, and in float64."""

import copy

import pytest
import torch
from gradient_cases import threat_of
from safetensors.torch import load, save
from torch import nn

import inradius
from inradius import Attack
from inradius.attacks.objective import class_margin

SPECS = {
    "fmn(steps=100)": "l2(eps=0.5)",
    "ddn()": "l2(eps=0.5)",
    "deepfool()": "l2(eps=0.5)",
    "fab()": "l2(eps=0.5)",
    "fab_t(classes=2)": "l2(eps=0.5)",
    "cw(searches=4)": "l2(eps=0.5)",
    "ead(searches=4)": "l1(eps=2.0)",
    "fmn(steps=50)": "linf(eps=0.05)",
    "deepfool(polish=0)": "l2(eps=0.5)",
    "restarts(fmn(steps=20), n=2)": "l2(eps=0.5)",
    "worst(deepfool(), ddn(steps=20))": "union(l2(eps=0.5), linf(eps=0.05))",
    "boundary(queries=400)": "l2(eps=0.5)",
    "hop_skip_jump(queries=600, samples=20)": "l2(eps=0.5)",
    "pointwise(queries=600, tries=100)": "l0(k=6)",
    "grow(start=0.2)": "l2(eps=0.5)",
    "pgd()": "l2(eps=0.5)",
}
# a margin is past the boundary where its sign outlives another order of summation
SIZES = (1, 2, 3, 17)


def tanh(seed):
    """A 48-32-3 network in float32 with a hundred inputs and its own labels: half of what stops at its boundary is a tie."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 3)).eval()
    x = torch.rand(100, 48)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def attacked(spec, threat, seed=0):
    model, x, y = tanh(seed)
    return model, x, y, inradius.make(spec, Attack)(model, x, y, threat_of(threat))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("spec", "threat"), SPECS.items())
@torch.no_grad()
def test_what_fooled_once_fools_again(spec, threat, seed):
    model, x, y, found = attacked(spec, threat, seed)
    x, y, delta = x[found.success], y[found.success], found.delta[found.success]
    assert len(x) > 40
    # as a file gives it back
    delta = load(save({"delta": delta.contiguous()}))["delta"]
    for size in SIZES:
        logits = torch.cat(
            [model(image + moved) for image, moved in zip(x.split(size), delta.split(size), strict=True)]
        )
        assert (class_margin(logits, y) < 0).all(), f"in batches of {size}"
        assert (logits.argmax(1) != y).all()
    exact = copy.deepcopy(model).double()(x.double() + delta.double())
    assert (class_margin(exact, y) < 0).all()


@pytest.mark.parametrize(("spec", "threat"), [item for item in SPECS.items() if "union" not in item[1]])
def test_a_step_past_the_boundary_leaves_few_within_rounding(spec, threat):
    """Whoever could be fooled is: an answer within rounding is for where the set ends there."""
    found = attacked(spec, threat)[-1]
    assert int(found.within_rounding.sum()) <= 1
    assert (found.gauge[found.success] <= 1 + 1e-5).all()


@pytest.mark.parametrize("spec", ["fmn(steps=60)", "ddn(steps=60)", "deepfool()", "fab(steps=30)", "cw(searches=4)"])
def test_the_step_past_the_boundary_is_short(spec):
    """Where the lead is linear along the ray, as on a linear model, it is a thousandth of the length at most."""
    torch.manual_seed(0)
    model, x = nn.Linear(48, 3).eval(), torch.rand(60, 48)
    with torch.no_grad():
        logits = model(x)
    y, threat = logits.argmax(1), threat_of("l2(eps=5.0, bounds=None)")
    found = inradius.make(spec, Attack)(model, x, y, threat)
    rows = model.weight[y][:, None] - model.weight[None]
    margins = (logits.gather(1, y[:, None]) - logits) / rows.norm(dim=2).clamp(min=1e-9)
    nearest = margins.scatter(1, y[:, None], torch.inf).amin(1)
    assert found.success.all()
    length = found.delta.norm(dim=1)
    assert (length >= nearest * (1 - 1e-5)).all()
    if not spec.startswith(("cw", "ddn")):
        assert (length <= nearest * (1 + 1.2e-3)).all()


def test_the_box_is_kept_past_the_boundary():
    for spec in ("fmn(steps=50)", "boundary(queries=300)", "hop_skip_jump(queries=300, samples=10)"):
        _, x, _, found = attacked(spec, "l2(eps=0.5)")
        image = x + found.delta
        assert ((image >= -1e-6) & (image <= 1 + 1e-6)).all()
        assert found.inside[found.success].all()
