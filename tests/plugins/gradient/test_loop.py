"""What iterative gradient attacks keep, drop and see."""

from itertools import pairwise

import pytest
import torch
from gradient_cases import SETS, SIZE, images, labelled, perceptron, score, threat_of

import inradius
from inradius import Attack, CrossEntropy, Margin, Oracles, UnsupportedError
from inradius_gradient import FGSM, PGD, FrankWolfe

LOOPS = ["pgd(steps=8", "pgd(steps=8, restarts=3", "pgd(steps=8, random_start=False", "frank_wolfe(steps=8, restarts=2"]
OBJECTIVES = ["cross_entropy()", "margin()", "dlr()"]


def make(loop, more=""):
    return inradius.make(f"{loop}{more})", Attack)


def watched(attack, *args, **kwargs):
    """The answer and every iterate."""
    seen = []
    found = attack(*args, observe=lambda step, delta: seen.append((step, delta)), **kwargs)
    assert [step for step, _ in seen] == list(range(len(seen)))
    return found, [delta for _, delta in seen]


@pytest.mark.parametrize(
    "spec", ["linf(eps=0.2)", "l2(eps=0.5)", "linf(eps=0.2, bounds=None)", "l2(eps=0.5, bounds=None)"]
)
def test_fgsm_is_one_full_step_of_pgd_from_zero(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    once = FGSM()(model, x, y, threat).delta
    pgd, (start, stepped) = watched(
        PGD(steps=1, step=1.0, random_start=False, keep_maximising=True), model, x, y, threat
    )
    assert start.eq(0).all()
    torch.testing.assert_close(stepped, once, rtol=0, atol=1e-12)
    worse = score(CrossEntropy(), model, x, y, once) > score(CrossEntropy(), model, x, y, 0 * once)
    assert worse.any()
    torch.testing.assert_close(pgd.delta[worse], once[worse], rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", SETS)
def test_fgsm_maximises_the_linearised_objective(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    point = x.clone().requires_grad_()
    gradient = torch.autograd.grad(CrossEntropy()(model(point), y).sum(), point)[0]
    assert torch.equal(FGSM()(model, x, y, threat).delta, threat.linear_max(gradient, x))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("spec", SETS)
def test_with_keep_maximising_the_answer_is_the_best_iterate(loop, spec, objective):
    threat, model, attack = threat_of(spec), perceptron(), make(loop, f", keep_maximising=True, objective={objective}")
    x, y = labelled(model)
    found, seen = watched(attack, model, x, y, threat)
    assert len(seen) == attack.restarts * 9
    best = torch.stack([score(attack.objective, model, x, y, delta) for delta in [torch.zeros_like(x), *seen]]).amax(0)
    torch.testing.assert_close(score(attack.objective, model, x, y, found.delta), best, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("spec", SETS)
def test_keep_maximising_reaches_at_least_the_objective_of_dropping(loop, spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model, 32)
    kept, dropped = (make(loop, more)(model, x, y, threat) for more in (", keep_maximising=True", ""))
    values = [score(CrossEntropy(), model, x, y, found.delta) for found in (kept, dropped)]
    assert (values[0] >= values[1] - 1e-12).all()
    same = ~dropped.success
    assert 0 < same.sum() < len(x)
    torch.testing.assert_close(kept.delta[same], dropped.delta[same], rtol=0, atol=1e-9)
    assert (kept.queries >= dropped.queries).all()
    # every iterate of the long run that fooled was met by the short one, so success can only be lost
    assert (dropped.success | ~kept.success).all()


@pytest.mark.parametrize("loop", LOOPS)
def test_an_example_keeps_the_first_iterate_that_fools_it(loop):
    threat, model = threat_of("linf(eps=0.2)"), perceptron()
    x, y = labelled(model, 32)
    found, seen = watched(make(loop), model, x, y, threat)
    fooled = torch.stack([score(Margin(), model, x, y, delta) >= 0 for delta in seen])
    assert torch.equal(fooled.any(0), found.success)
    assert 0 < found.success.sum() < len(x)
    for row in found.success.nonzero().squeeze(1).tolist():
        first = int(fooled[:, row].int().argmax())
        assert torch.equal(seen[first][row], found.delta[row])
        assert all(torch.equal(delta[row], found.delta[row]) for delta in seen[first:])


@pytest.mark.parametrize("loop", LOOPS)
def test_a_fooled_example_is_not_asked_about_again(loop):
    threat, model, attack = threat_of("linf(eps=0.2)"), perceptron(), make(loop)
    x, y = labelled(model, 32)
    found, seen = watched(attack, model, x, y, threat)
    clean = 1 if getattr(attack, "random_start", False) else 0
    fooled = torch.stack([score(Margin(), model, x, y, delta) >= 0 for delta in seen])
    steps = torch.where(found.success, fooled.int().argmax(0) + 1, attack.restarts * 9)
    assert torch.equal(found.queries, steps + clean + 1)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_misclassified_example_needs_no_attack(loop):
    threat, model = threat_of("linf(eps=0.01)"), perceptron()
    x, y = labelled(model)
    y[::2] = (y[::2] + 1) % 4
    found = make(loop)(model, x, y, threat)
    assert found.success[::2].all()
    assert found.delta[::2].eq(0).all()
    assert found.queries[::2].eq(2).all()
    assert found.delta[1::2].ne(0).any()


@pytest.mark.parametrize("loop", LOOPS)
def test_more_restarts_and_steps_never_lose_an_example(loop):
    threat, model = threat_of("l2(eps=0.3)"), perceptron()
    x, y = labelled(model, 32)
    attack = make(loop)
    once = inradius.make(str(attack).replace(f"restarts={attack.restarts}", "restarts=1"), Attack)(model, x, y, threat)
    more = inradius.make(str(attack).replace(f"restarts={attack.restarts}", "restarts=5"), Attack)(model, x, y, threat)
    assert (more.success | ~once.success).all()
    assert torch.equal(more.delta[once.success], once.delta[once.success])


@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_begins_at_the_projected_start(loop):
    threat, model = threat_of("l2(eps=0.3)"), perceptron()
    x, y = labelled(model)
    start = images(seed=5) - 0.5
    _, seen = watched(make(loop), model, x, y, threat, start=start)
    torch.testing.assert_close(seen[0], threat.project(start, x), rtol=0, atol=1e-12)


def test_random_starts_lie_in_the_set_and_differ_from_run_to_run():
    threat, model = threat_of("l1(eps=1.0)"), perceptron()
    x, y = labelled(model)
    _, seen = watched(PGD(steps=1, restarts=3, keep_maximising=True), model, x, y, threat)
    starts = seen[::2]
    assert all(threat.contains(start, x).all() for start in starts)
    assert all((one != other).any(1).all() for one, other in [(starts[0], starts[1]), (starts[1], starts[2])])
    _, again = watched(PGD(steps=1, restarts=3, keep_maximising=True, seed=1), model, x, y, threat)
    assert (again[0] != starts[0]).any(1).all()


@pytest.mark.parametrize("spec", SETS)
def test_noise_begins_near_the_image_within_the_set(spec):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    _, (start, *_) = watched(make("pgd(steps=1, noise=0.001, keep_maximising=True"), model, x, y, threat)
    assert threat.contains(start, x).all()
    assert start.flatten(1).ne(0).any(1).all()
    assert 0.0003 < start.std() < 0.002
    # where the noise does not fit, it is projected
    _, (start, *_) = watched(make("pgd(steps=1, noise=100.0, keep_maximising=True"), model, x, y, threat)
    assert threat.contains(start, x).all()


def test_later_steps_shrink_as_one_over_their_number():
    threat, model = threat_of("linf(eps=1.0, bounds=None)"), perceptron()
    x, y = labelled(model)
    attack = make("pgd(steps=6, step=0.01, constant=3, random_start=False, keep_maximising=True")
    _, seen = watched(attack, model, x, y, threat)
    moved = [float((after - before).abs().max()) for before, after in pairwise(seen)]
    assert moved == pytest.approx([0.01, 0.01, 0.01, 0.01 / 2, 0.01 / 3, 0.01 / 4], rel=1e-6)


def test_frank_wolfe_forgets_its_start_in_one_step_and_averages_afterwards():
    threat, model = threat_of("l2(eps=0.3)"), perceptron()
    x, y = labelled(model)
    _, seen = watched(FrankWolfe(steps=6, keep_maximising=True), model, x, y, threat)
    assert seen[0].eq(0).all()
    for step, (delta, following) in enumerate(pairwise(seen)):
        point = (x + delta).requires_grad_()
        gradient = torch.autograd.grad(CrossEntropy()(model(point), y).sum(), point)[0]
        share = 2 / (step + 2)
        expected = (1 - share) * delta + share * threat.linear_max(gradient, x)
        torch.testing.assert_close(following, expected, rtol=0, atol=1e-12)


def test_frank_wolfe_refuses_a_set_that_is_not_convex():
    class TwoPoints(Oracles):
        convex = False

        def __str__(self):
            return "two points"

        def _none(self, *_):
            raise AssertionError("no oracle may be asked")

        project = linear_max = gauge = select = members = _none

    model = perceptron()
    x, y = labelled(model)
    with pytest.raises(
        UnsupportedError, match=r"frank_wolfe\(\) was given two points, which is not convex.*each part of a union"
    ):
        FrankWolfe()(model, x, y, TwoPoints())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pgd(steps=0)", "steps=0 is not allowed; allowed is an integer ≥ 1"),
        ("pgd(step=0)", "step=0 is not allowed; allowed is a finite number > 0"),
        ("pgd(restarts=1.5)", "restarts=1.5 is not allowed; allowed is an integer ≥ 1"),
        ("pgd(random_start=1)", "random_start=1 is not allowed; allowed are True and False"),
        ("pgd(noise=0)", "noise=0 is not allowed; allowed is a finite number > 0"),
        ("frank_wolfe(objective=3)", "objective=3 has the wrong kind; allowed is a component of kind Objective"),
        ("fgsm(steps=3)", "fgsm: .*'steps'; the parameters are"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec, Attack)


@pytest.mark.parametrize(
    "spec", ["fgsm(objective=margin())", "pgd(steps=7, step=0.3, restarts=2)", "frank_wolfe(seed=4)"]
)
def test_an_attack_prints_as_its_spec(spec):
    attack = inradius.make(spec, Attack)
    assert inradius.make(str(attack)) == attack
    assert inradius.make(attack.spec(full=True)) == attack


@pytest.mark.parametrize("spec", [*SETS, "wasserstein(eps=0.2)", "union(linf(eps=0.2), l2(eps=0.5))"])
@pytest.mark.parametrize("restarts", [1, 2])
def test_starts_are_drawn_as_the_set_draws_or_uniformly(spec, restarts):
    threat, model = threat_of(spec), perceptron()
    x, y = labelled(model)
    if spec.startswith("wasserstein"):
        x, model = x.view(-1, 1, 2, 4), torch.nn.Sequential(torch.nn.Flatten(), model)
    for uniform in (False, True):
        attack = PGD(steps=2, restarts=restarts, uniform=uniform, keep_maximising=True)
        _, seen = watched(attack, model, x, y, threat)
        for restart in range(restarts):
            rng = inradius.ExampleRNG(0, torch.arange(len(x))).fork(restart)
            expected = (threat.uniform if uniform else threat.sample)(x, rng=rng)
            assert torch.equal(seen[3 * restart], expected)


def test_a_fifth_of_the_coordinates_begins_at_faces_of_linf_unless_the_start_is_uniform():
    x, y = torch.full((20, SIZE), 0.5, dtype=torch.float64), torch.zeros(20, dtype=torch.int64)
    cases = [("pgd(steps=1", 0.2), ("fgsm_rs(step=1.25", 0.2)]
    cases += [(f"{attack}, uniform=True", 0.0) for attack, _ in cases]
    for attack, share in cases:
        starts = []
        for seed in range(30):
            made = inradius.make(f"{attack}, seed={seed})", Attack)
            starts.append(watched(made, perceptron(), x, y, threat_of("linf(eps=0.2)"))[1][0])
        found = float((torch.stack(starts).abs() >= 0.2 - 1e-12).double().mean())
        # 4800 coordinates: a standard deviation of 0.006
        assert found == pytest.approx(share, abs=0.02)
