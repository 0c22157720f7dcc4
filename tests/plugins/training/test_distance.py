"""Training on distances between predictions: each loss is its formula, and each term is needed."""

import attrs
import pytest
import torch
import torch.nn.functional as F
from distance_cases import ATTACK, SPECS, Line, batch, losses, mixed, network
from hypothesis import given, settings
from hypothesis import strategies as st

import inradius
from inradius import Attack, Defense, PluginError
from inradius_training.distance.bregman import BREGMAN
from inradius_training.distance.mart import rival_surprise
from inradius_training.distance.score import smoothed

KL_ATTACK = ATTACK.removeprefix("attack=")
LAW = settings(derandomize=True, deadline=None, max_examples=100)
SETS = ["linf(eps=0.1)", "l2(eps=0.5)", "l1(eps=1.0)", "union(linf(eps=0.05), l2(eps=0.2))"]
KL = BREGMAN["negative_entropy"]


def kl(p, q):
    return (p * (p / q).log()).sum(1)


def entropy(p):
    return -(p * p.log()).sum(1)


def squares(p, q):
    return (p - q).square().sum(1)


def nll(p, y):
    return -p.gather(1, y[:, None]).squeeze(1).log()


def one_hot(p, y):
    return F.one_hot(y, p.shape[1]).to(p)


def boosted(p, y):
    wrong = p.scatter(1, y[:, None], 0.0).amax(1)
    return nll(p, y) - (1 - wrong).log()


def doubt(p, y):
    return 1 - p.gather(1, y[:, None]).squeeze(1)


# p, s, q: the predictions at x, at the second of ten steps, and at x'; f: the logits at the helper point
FORMULAS = {
    "trades(beta=2)": lambda p, s, q, y: nll(p, y) + 2 * kl(p, q),
    "trades(beta=0)": lambda p, s, q, y: nll(p, y),
    "mart(beta=2)": lambda p, s, q, y: boosted(q, y) + 2 * kl(p, q) * doubt(p, y),
    "mart(beta=0)": lambda p, s, q, y: boosted(q, y),
    "score(beta=2)": lambda p, s, q, y: squares(p, 0.85 * one_hot(p, y) + 0.05) + 2 * squares(p, q),
    "score(beta=2, smoothing=0)": lambda p, s, q, y: squares(p, one_hot(p, y)) + 2 * squares(p, q),
    "score(beta=0)": lambda p, s, q, y: squares(p, 0.85 * one_hot(p, y) + 0.05),
    "fait(lam=2)": lambda p, s, q, y: nll(p, y) + 2 * (kl(p, s) + kl(s, q)),
    "fait(lam=2, iterate=10)": lambda p, s, q, y: nll(p, y) + 2 * kl(p, q),
    "fait(lam=2, psi='squares')": lambda p, s, q, y: squares(p, one_hot(p, y)) + 2 * (squares(p, s) + squares(s, q)),
    "mer(lam=2)": lambda p, s, q, y: nll(p, y) + 2 * kl(p, q) - entropy(p),
    "mer(lam=2, beta_cle=0, beta_adv=3)": lambda p, s, q, y: nll(p, y) + 2 * kl(p, q) - 3 * entropy(q),
    "mer(lam=2, beta_cle=0)": lambda p, s, q, y: nll(p, y) + 2 * kl(p, q),
    "mer(lam=2, psi='squares')": lambda p, s, q, y: squares(p, one_hot(p, y)) + 2 * squares(p, q) + p.square().sum(1),
    "mer(lam=2, psi='squares', beta_cle=0)": lambda p, s, q, y: squares(p, one_hot(p, y)) + 2 * squares(p, q),
    "fait_mer(lam=2)": lambda p, s, q, y: nll(p, y) + 2 * (kl(p, s) + kl(s, q)) - entropy(p),
    "fait_mer(lam=2, beta_cle=0)": lambda p, s, q, y: nll(p, y) + 2 * (kl(p, s) + kl(s, q)),
    "fait_mer(lam=0, beta_cle=0)": lambda p, s, q, y: nll(p, y),
}


def predictions(model, x):
    step = Line().step(x)
    return [model(x + share * step).softmax(1) for share in (0, 0.2, 1)]


@pytest.mark.parametrize("spec", FORMULAS)
def test_a_loss_is_its_formula(tmp_path, spec):
    model, data = network(), batch()
    expected = FORMULAS[spec](*predictions(model, data.inputs), data.labels)
    torch.testing.assert_close(losses(tmp_path, spec, model=model, attack=Line()), expected)


@pytest.mark.parametrize(
    ("spec", "without"),
    [
        ("trades(beta=2)", "trades(beta=0)"),
        ("mart(beta=2)", "mart(beta=0)"),
        ("mart(beta=0)", "trades(beta=0)"),
        ("score(beta=2)", "score(beta=0)"),
        ("score(beta=2)", "score(beta=2, smoothing=0)"),
        ("fait(lam=2)", "fait(lam=2, iterate=10)"),
        ("fait(lam=2)", "trades(beta=2)"),
        ("fait(lam=2, psi='squares')", "mer(lam=2, psi='squares', beta_cle=0)"),
        ("mer(lam=2)", "mer(lam=2, beta_cle=0)"),
        ("mer(lam=2, beta_cle=0, beta_adv=3)", "mer(lam=2, beta_cle=0)"),
        ("mer(lam=2, psi='squares')", "mer(lam=2, psi='squares', beta_cle=0)"),
        ("fait_mer(lam=2)", "fait_mer(lam=2, beta_cle=0)"),
        ("fait_mer(lam=2)", "mer(lam=2)"),
    ],
)
def test_without_its_term_a_loss_is_another(tmp_path, spec, without):
    model, data = network(), batch()
    found = losses(tmp_path, spec, model=model, attack=Line())
    assert not torch.allclose(found, FORMULAS[without](*predictions(model, data.inputs), data.labels), rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_hat_learns_the_standard_networks_label_at_the_helper_point(tmp_path, gamma):
    model, data = network(), batch()
    data = attrs.evolve(data, inputs=(data.inputs > 0.5).double() * 0.8 + 0.1)
    standard = inradius.make("hat(model='mlp(6, 8, 3)', h=3.5)", Defense)
    step = Line().step(data.inputs)
    label = standard.standard_label(data.inputs + step)
    assert label.unique().numel() > 1
    p, _, q = predictions(model, data.inputs)
    far = model(data.inputs + 3.5 * step)
    expected = nll(p, data.labels) + 2.5 * kl(p, q) + gamma * F.cross_entropy(far, label, reduction="none")
    found = losses(tmp_path, attrs.evolve(standard, gamma=gamma), model=model, data=data, attack=Line())
    torch.testing.assert_close(found, expected)
    assert torch.allclose(found, nll(p, data.labels) + 2.5 * kl(p, q)) == (gamma == 0)


def gradients(model, value):
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(value.sum(), list(model.parameters()), retain_graph=True)]
    )


@pytest.mark.parametrize("spec", ["trades(beta=2)", "mart(beta=2)", "score(beta=2)", "fait(lam=2)", "mer(lam=2)"])
def test_the_gradient_goes_through_the_clean_prediction(tmp_path, spec):
    model, data = network(), batch()
    found = gradients(model, losses(tmp_path, spec, model=model, attack=Line()))
    p, s, q = predictions(model, data.inputs)
    torch.testing.assert_close(found, gradients(model, FORMULAS[spec](p, s, q, data.labels)))
    detached = gradients(model, nll(p, data.labels) + 2 * kl(p.detach(), q))
    assert not torch.allclose(found, detached, rtol=1e-3)


@LAW
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 6), share=st.floats(0, 1), psi=st.sampled_from(list(BREGMAN)))
def test_on_the_segment_the_separated_divergence_is_no_larger(seed, classes, share, psi):
    p, q = torch.randn(2, 20, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
    between = torch.lerp(p.softmax(1), q.softmax(1), share).log()
    whole = BREGMAN[psi].divergence(p, q)
    assert (BREGMAN[psi].separated(p, between, q) <= whole * (1 + 1e-9) + 1e-12).all()


def test_off_the_segment_it_can_be_larger():
    points = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.4, 0.1, 0.5]], dtype=torch.float64).log()[:, None]
    assert KL.separated(*points).item() == pytest.approx(1.037, abs=5e-4)
    assert KL.divergence(points[0], points[2]).item() == pytest.approx(0.394, abs=5e-4)


@LAW
@given(seed=st.integers(0, 2**31), psi=st.sampled_from(list(BREGMAN)))
def test_divergences_are_those_of_bregman(seed, psi):
    p, q = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    at = q.softmax(1).requires_grad_()

    def convex(p):
        return -BREGMAN[psi].spread(p.log())

    (slope,) = torch.autograd.grad(convex(at / at.sum(1, keepdim=True)).sum(), at)
    expected = convex(p.softmax(1)) - convex(at) - (slope * (p.softmax(1) - at)).sum(1)
    torch.testing.assert_close(BREGMAN[psi].divergence(p, q), expected.detach())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mer(lam=6, beta_cle=0)", "trades()"),
        ("fait_mer(lam=12, beta_cle=0)", "fait()"),
        ("mer(psi='squares', lam=4, beta_cle=0, bn_mode='train_notrack')", "score(smoothing=0)"),
    ],
)
def test_the_family_agrees_under_its_own_attacks(tmp_path, one, other):
    attack = None
    if "score" in other:
        # they begin elsewhere
        attack = inradius.make(other).attack
    torch.testing.assert_close(losses(tmp_path, one, attack=attack), losses(tmp_path, other, attack=attack))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("threat", SETS)
def test_a_loss_is_one_number_per_example_with_a_gradient(tmp_path, spec, threat):
    model = network()
    value = losses(tmp_path, spec, model=model, threat=threat)
    assert value.shape == (12,)
    assert torch.isfinite(gradients(model, value)).all()


@pytest.mark.parametrize(
    ("spec", "threat"), [*((spec, "linf(eps=0.1)") for spec in SPECS[:8]), (f"fait({ATTACK})", "wasserstein(eps=0.05)")]
)
def test_losses_of_images(tmp_path, spec, threat):
    data = batch(3, shape=(1, 3, 4))
    value = losses(tmp_path, spec, model=network(size=12), data=data, threat=threat)
    assert value.shape == (3,)
    assert torch.isfinite(value).all()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("rows", [[7, 2, 5], [4]])
def test_a_loss_does_not_depend_on_batch_mates(tmp_path, spec, rows):
    whole = losses(tmp_path, spec)
    part = losses(tmp_path, spec, data=batch().select(torch.tensor(rows)))
    torch.testing.assert_close(whole[rows], part, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS)
def test_probabilities_that_underflow_give_no_nan(tmp_path, spec):
    model, data = network(dtype=torch.float32, scale=500.0), batch(dtype=torch.float32)
    # the clean prediction has zeros among its probabilities
    assert (model(data.inputs).softmax(1) == 0).any()
    value = losses(tmp_path, spec, model=model, data=data)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradients(model, value)).all()


@pytest.mark.parametrize("spec", SPECS)
def test_radius_zero_leaves_no_distance(tmp_path, spec):
    found = losses(tmp_path, spec, threat="linf(eps=0)")
    model, data = network(), batch()
    p = model(data.inputs).softmax(1)
    expected = {"mart": boosted(p, data.labels), "trades": nll(p, data.labels), "fait": nll(p, data.labels)}
    name = spec.partition("(")[0]
    if name in expected and "squares" not in spec:
        torch.testing.assert_close(found, expected[name])
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("spec", SPECS)
def test_sure_targets_are_labels(tmp_path, spec):
    data = batch()
    sure = attrs.evolve(data, targets=F.one_hot(data.labels, 3).double())
    torch.testing.assert_close(losses(tmp_path, spec, data=sure), losses(tmp_path, spec))


@pytest.mark.parametrize("spec", [*SPECS[:3], "fait_mer()"])
def test_mixed_labels_mix_the_loss_of_the_label_alone(tmp_path, spec):
    """Under a given attack these losses are affine in the label, but for the squares, which are a square of it."""
    data = mixed(batch())
    found = losses(tmp_path, spec, data=data, attack=Line())
    plain = [attrs.evolve(data, labels=torch.full_like(data.labels, c), targets=None) for c in range(3)]
    parts = [losses(tmp_path, spec, data=one, attack=Line()) for one in plain]
    expected = (torch.stack(parts, 1) * data.targets).sum(1)
    if spec == "score()":
        # Σ t_c ‖p − e_c‖² − ‖p − t‖² = 1 − ‖t‖², and smoothing shrinks the labels
        expected = expected - 0.85**2 * (1 - data.targets.square().sum(1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("attack", [None, f"restarts({KL_ATTACK}, n=2)", f"worst({KL_ATTACK}, {KL_ATTACK})"])
def test_attacks_compare_with_the_clean_prediction_also_where_labels_are_mixed(tmp_path, attack):
    """The divergence is from the prediction, so that mixed labels change the clean loss alone."""
    attack = None if attack is None else inradius.make(attack, Attack)

    def divergence(data):
        whole, clean = (losses(tmp_path, f"trades(beta={beta})", data=data, attack=attack) for beta in (1, 0))
        return whole - clean

    torch.testing.assert_close(divergence(batch()), divergence(mixed(batch())))


@LAW
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 6))
def test_the_rival_of_mart(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(8, classes, generator=generator, dtype=torch.float64)
    targets = torch.rand(8, classes, generator=generator, dtype=torch.float64).softmax(1)
    p = logits.softmax(1)
    others = [-(1 - p[:, [k for k in range(classes) if k != c]].amax(1)).log() for c in range(classes)]
    expected = (targets * torch.stack(others, 1)).sum(1)
    torch.testing.assert_close(rival_surprise(logits, targets), expected, rtol=1e-6, atol=1e-9)


def test_smoothing_counts_the_classes_of_the_model():
    label = F.one_hot(torch.tensor([2]), 5).double()
    torch.testing.assert_close(smoothed(label, 0.1), torch.tensor([[0.025, 0.025, 0.9, 0.025, 0.025]]).double())


@pytest.mark.parametrize(("spec", "passes"), [("trades()", 2), ("mart()", 2), ("score()", 2), ("fait()", 3)])
def test_batch_norm_keeps_nothing_of_the_attack(tmp_path, spec, passes):
    model = network(norm=True)
    losses(tmp_path, spec, model=model)
    assert int(model[2].num_batches_tracked) == passes
    assert model.training


def test_score_attacks_with_the_statistics_of_the_batch(tmp_path):
    ways = [
        losses(tmp_path, f"score(bn_mode={mode!r})", model=network(norm=True)) for mode in ("eval", "train_notrack")
    ]
    assert not torch.allclose(*ways)
    assert inradius.make("score()").bn_mode == "train_notrack"


@pytest.mark.parametrize("spec", ["trades()", "fait()", "score()", "mart()"])
def test_the_attack_does_what_the_loss_asks_for(tmp_path, spec):
    """A longer search makes no loss smaller in the mean, and the default one is larger than that of a random point."""
    defense = inradius.make(spec, Defense)
    found = losses(tmp_path, defense).mean()
    noise = losses(tmp_path, defense, attack=attrs.evolve(defense.attack, steps=2, step=1e-9)).mean()
    assert found > noise + 0.01


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fait(iterate=4, attack=pgd(steps=3, keep_maximising=True))", r"pgd\(.*\) showed no iterate 4"),
        ("fait_mer(attack=fgsm())", "showed no iterate 2"),
    ],
)
def test_fait_needs_its_iterate(tmp_path, spec, message):
    with pytest.raises(PluginError, match=message):
        losses(tmp_path, spec)
