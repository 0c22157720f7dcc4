"""What the cross-entropy says of a mistake, and what the margin says: Robey et al. 2023, sec. 3 and appendix D."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn

import inradius
from inradius import Attack, CrossEntropy, Margin, Property, ThreatModel

RADIUS = 0.8
# the value at (0, 0.8), and the margin at (±0.8, 0.8) / √2
LARGEST = math.log(1 + 2 * math.exp(RADIUS - 1))
MARGIN = 2 * RADIUS / math.sqrt(2) - 1

seeds = st.integers(0, 2**32 - 1)


def counterexample(count=1):
    """Logits (−b, −a, a) of the point (a, b) = (0, −1), which has class 0."""
    model = nn.Linear(2, 3, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, -1.0], [-1.0, 0.0], [1.0, 0.0]]))
    x = torch.tensor([[0.0, -1.0]], dtype=torch.float64).repeat(count, 1)
    return model, x, torch.zeros(count, dtype=torch.int64)


def ball():
    return inradius.make(f"l2(eps={RADIUS}, bounds=None)", ThreatModel)


def disc(rings=200, turns=720):
    """Points of the ball, among them (0, 0.8) and (±0.8, 0.8) / √2, (n, 2)."""
    radii = torch.linspace(0, RADIUS, rings, dtype=torch.float64)[:, None]
    angles = 2 * math.pi * torch.arange(turns, dtype=torch.float64) / turns
    return torch.stack([radii * angles.cos(), radii * angles.sin()], dim=-1).flatten(0, 1)


def scores(objective, deltas):
    model, x, y = counterexample()
    with torch.no_grad():
        return objective(model(x + deltas), y.expand(len(deltas)))


def test_the_largest_cross_entropy_of_the_whole_ball_is_harmless():
    deltas = disc()
    losses = scores(CrossEntropy(), deltas)
    best = losses.argmax()
    assert float(losses[best]) == pytest.approx(LARGEST, abs=1e-12)
    assert pytest.approx(0.96982, abs=5e-6) == LARGEST
    torch.testing.assert_close(deltas[best], torch.tensor([0.0, RADIUS], dtype=torch.float64), rtol=0, atol=1e-12)
    # its logits are (0.2, 0, 0): the label still wins
    assert float(scores(Margin(), deltas[best][None])) == pytest.approx(RADIUS - 1)


def test_the_ball_holds_adversarial_examples_all_the_same():
    deltas = disc()
    margins = scores(Margin(), deltas)
    assert float(margins.amax()) == pytest.approx(MARGIN, abs=1e-12)
    assert pytest.approx(0.1314, abs=5e-5) == MARGIN
    ends = deltas[(margins > MARGIN - 1e-9)]
    torch.testing.assert_close(ends.abs(), torch.full_like(ends, RADIUS / math.sqrt(2)))
    assert sorted(ends[:, 0].sign().tolist()) == [-1, 1]
    # where the label is lost, the cross-entropy is smaller than at its harmless maximum
    assert float(scores(CrossEntropy(), ends).amax()) < LARGEST


def test_the_margins_in_closed_form_are_the_support_of_the_ball():
    """max_δ (z_j − z_0)(x + δ) = ε ‖w_j − w_0‖ − 1 for each j ≠ 0."""
    model, x, y = counterexample()
    rows = model.weight[1:] - model.weight[:1]
    highest = rows.detach() @ x[0] + ball().support(rows.detach()[None], x)[0]
    torch.testing.assert_close(highest, torch.full_like(highest, MARGIN), rtol=0, atol=1e-6)
    weights = Property.margins(y, 3).weights.double()
    torch.testing.assert_close(-(weights[0] @ model.weight).detach(), rows.detach())


@pytest.mark.parametrize(
    ("attack", "share"),
    [
        # the last word of an ascent of the cross-entropy, which is its largest
        ("pgd(steps=200, step=0.05, keep_maximising=True)", 0.0),
        ("beta(steps=60, keep_maximising=True)", 1.0),
        # so the margin makes the difference, and not that each class is aimed at
        ("pgd(steps=200, step=0.05, objective=margin(), keep_maximising=True)", 1.0),
    ],
)
def test_of_many_starts(attack, share):
    model, x, y = counterexample(1000)
    found = inradius.make(attack, Attack)(model, x, y, ball())
    assert float(found.success.double().mean()) == share
    if share:
        torch.testing.assert_close(-found.margin, torch.full_like(found.margin, MARGIN), rtol=0, atol=1e-6)
    else:
        losses = scores(CrossEntropy(), found.delta)
        torch.testing.assert_close(losses, torch.full_like(losses, LARGEST), rtol=0, atol=1e-3)


def test_an_ascent_of_the_cross_entropy_passes_through_mistakes():
    """One that keeps the first mistake on its way has most starts succeed; the claim is of where it ends."""
    model, x, y = counterexample(1000)
    found = inradius.make("pgd(steps=200, step=0.05)", Attack)(model, x, y, ball())
    share = float(found.success.double().mean())
    print(f"{share:.1%} of the starts meet a mistake")
    assert 0.5 < share < 1


def losses_of(probabilities):
    logits, y = probabilities.log()[None], torch.zeros(1, dtype=torch.int64)
    return float(CrossEntropy()(logits, y)), float(Margin()(logits, y))


@given(classes=st.integers(3, 1000), share=st.floats(1e-3, 0.99))
def test_example_1_of_two_predictions_the_harmless_one_loses_more(classes, share):
    """For every K ≥ 3 and ε < 1/4 − 1/(2K); the gap grows like log(K / 2) as ε → 0."""
    eps = share * min(1 / 4 - 1 / (2 * classes), 1 / classes)
    harmless = torch.full((classes,), 1 / classes, dtype=torch.float64)
    harmless[0], harmless[1] = 1 / classes + eps, 1 / classes - eps
    fooled = torch.full((classes,), 1e-12, dtype=torch.float64)
    fooled[0], fooled[1] = 0.5 - eps, 0.5 + eps
    (loss_a, margin_a), (loss_b, margin_b) = losses_of(harmless), losses_of(fooled)
    assert margin_a < 0 < margin_b
    assert loss_a == pytest.approx(-math.log(1 / classes + eps))
    assert loss_b == pytest.approx(-math.log(0.5 - eps), abs=1e-6)
    assert loss_a > loss_b


@given(seed=seeds, classes=st.integers(2, 12), scale=st.floats(0.1, 10.0))
def test_the_cross_entropy_decides_only_outside_of_log_2_to_log_k(seed, classes, scale):
    """Below log 2 the label wins, above log K it has lost; for two classes that is all, for more there is a gap."""
    rng = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(64, classes, generator=rng, dtype=torch.float64)
    y = torch.randint(classes, (64,), generator=rng)
    losses, wrong = CrossEntropy()(logits, y), Margin()(logits, y) >= 0
    assert not wrong[losses < math.log(2) - 1e-9].any()
    assert wrong[losses > math.log(classes) + 1e-9].all()


def test_the_gap_is_met_from_both_sides():
    """Three classes: at almost log 3 still right, at a little more than log 2 already wrong. The example lies between."""
    assert losses_of(torch.tensor([1 / 3 + 1e-6, 1 / 3, 1 / 3 - 1e-6], dtype=torch.float64)) == (
        pytest.approx(math.log(3), abs=1e-4),
        pytest.approx(0, abs=1e-4),
    )
    assert losses_of(torch.tensor([1 / 3 + 1e-6, 1 / 3, 1 / 3 - 1e-6], dtype=torch.float64))[1] < 0
    assert losses_of(torch.tensor([0.4999, 0.5, 1e-4], dtype=torch.float64))[1] > 0
    assert math.log(2) < LARGEST < math.log(3)


@given(seed=seeds, classes=st.integers(2, 6))
def test_the_largest_margin_is_above_0_where_an_adversarial_example_exists(seed, classes):
    """max_j max_δ = max_δ max_j: of a linear model the ascents of all classes decide, exactly."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, 2, generator=rng, dtype=torch.float64)
    x = torch.randn(1, 2, generator=rng, dtype=torch.float64)
    rows = weight[1:] - weight[:1]
    highest = float((rows @ x[0] + RADIUS * rows.norm(dim=1)).amax())
    logits = (x + disc(40, 360)) @ weight.mT
    met = float((logits[:, 1:] - logits[:, :1]).amax())
    assert met <= highest + 1e-9
    # the discs' points are at most this far from any point of the ball
    assert met >= highest - float(rows.norm(dim=1).amax()) * RADIUS * (1 / 39 + math.pi / 360)
