"""Where ``smallest`` begins: no larger than the attacks alone, aimed where a goal is given, and not blind on masked networks."""

import pytest
import torch
from minimal_cases import attack_of, labelled, perceptron, threat_of
from torch import nn

from inradius import AttackBatch, CountedModel, ExampleRNG
from inradius_minimal.beginnings import begin
from inradius_minimal.smallest import Smallest


def begun(model, x, y, threat, goal=None):
    whole = AttackBatch(
        model=CountedModel(model, y), x=x, y=y, threat=threat, rng=ExampleRNG(0, torch.arange(len(x))), goal=goal
    )
    found = Smallest(whole, lambda part, delta: part.threat.gauge(delta, part.x))
    with torch.no_grad():
        begin(whole.take(found.standing), torch.zeros_like(x[found.standing]), found)
    return found


@pytest.mark.parametrize(
    "threat", ["linf(eps=0.2)", "l2(eps=0.5)", "l1(eps=1.0)", "l1(eps=1.0, bounds=None)", "l0(k=1)"]
)
def test_what_is_found_is_misclassified_and_no_larger_than_one_of_its_attacks_alone(threat):
    model, around = perceptron(), threat_of(threat)
    x, y = labelled(model)
    found = begun(model, x, y, around)
    alone = attack_of("sigma_zero(steps=200, polish=0)" if threat.startswith("l0") else "fmn(steps=25, polish=0)")
    single = alone(model, x, y, around)
    known = torch.isfinite(found.size)
    assert bool(known[single.margin < 0].all())
    assert bool((model(x + found.delta).argmax(1) != y)[known].all())
    torch.testing.assert_close(found.size[known], around.gauge(found.delta, x)[known])
    assert float((found.size <= single.gauge * (1 + 1e-3))[known].double().mean()) > 0.9


def test_a_goal_is_kept():
    model, around = perceptron(), threat_of("l2(eps=0.5)")
    x, y = labelled(model)
    goal = (y + 1) % model(x).shape[1]
    found = begun(model, x, y, around, goal)
    known = torch.isfinite(found.size)
    assert int(known.sum()) > 4
    assert torch.equal(model(x + found.delta).argmax(1)[known], goal[known])


def test_far_starts_find_what_a_zero_gradient_hides():
    torch.manual_seed(0)

    class Threshold(nn.Module):
        def forward(self, x):
            return (5 * x - 2).clamp(0, 1)

    model = nn.Sequential(Threshold(), nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()
    x = torch.rand(12, 6, dtype=torch.float64)
    x = torch.where(x < 0.5, 0.7 * x, 0.3 + 0.7 * x)
    y = model(x).argmax(1)
    # half of the corners of the box are enough for a few random ones to be misclassified
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 6)
    share = (model(corners).argmax(1)[None] != y[:, None]).double().mean(1)
    found = begun(model, x, y, threat_of("l2(eps=0.5)"))
    assert bool(torch.isfinite(found.size)[share > 0.3].all())
