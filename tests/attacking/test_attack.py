"""``inradius.attack`` gives what the attack itself gives, for tensors, arrays and lists, in batches, at one radius or several."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Attack, InputError, SpecError, ThreatModel, UnsupportedError, make

LINF, COUNT = "linf(eps=0.15)", 23
FIELDS = ("delta", "success", "margin", "gauge", "inside", "within_rounding", "queries")


def network(seed=0, inputs=12, classes=4, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 24), nn.ReLU(), nn.Linear(24, classes)).to(dtype).eval()


def examples(model, seed=1, count=COUNT, dtype=torch.float32):
    torch.manual_seed(seed)
    x = torch.rand(count, 12, dtype=dtype)
    return x, model(x).argmax(1)


def same(one, other, atol=1e-6):
    for name in FIELDS:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=atol)


@pytest.mark.parametrize("spec", ["pgd(steps=5)", "apgd(steps=5)", "ddn(steps=10)", "square(queries=30)"])
def test_it_is_the_call_of_the_attack(spec):
    model = network()
    x, y = examples(model)
    same(inradius.attack(model, x, y, LINF, spec), make(spec, Attack)(model, x, y, make(LINF, ThreatModel)))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(size=st.integers(1, COUNT + 3), spec=st.sampled_from(["pgd(steps=4)", "apgd(steps=4)", "fmn(steps=6)"]))
def test_batches_change_nothing(size, spec):
    model = network(dtype=torch.float64)
    x, y = examples(model, dtype=torch.float64)
    threat = "l2(eps=0.5)"
    same(inradius.attack(model, x, y, threat, spec, batch_size=size), inradius.attack(model, x, y, threat, spec), 1e-9)


def test_a_radius_for_each_example_is_split_with_the_batch():
    model = network()
    x, y = examples(model)
    threat = make(LINF, ThreatModel).per_example(torch.linspace(0.1, 2, COUNT))
    same(inradius.attack(model, x, y, threat, "pgd", batch_size=5), inradius.attack(model, x, y, threat, "pgd"))


def test_arrays_and_lists_come_to_the_model():
    model = network()
    x, y = examples(model)
    expected = inradius.attack(model, x, y, LINF, "pgd(steps=5)")
    wide, order = x.double().numpy(), x.numpy().astype(">f4")
    for inputs in (x.numpy(), wide, order, x.tolist(), list(x), x.numpy()[::-1][::-1]):
        for labels in (y.numpy(), y.tolist(), y.int(), list(y)):
            same(inradius.attack(model, inputs, labels, LINF, "pgd(steps=5)"), expected)
    # a function has no type, and torch's own is taken
    found = inradius.attack(lambda given: model(given), x.numpy(), y, LINF, "pgd(steps=5)")
    same(found, expected)


def test_a_goal_is_one_class_for_all_or_one_for_each():
    model = network()
    x, y = examples(model)
    goals = torch.full((COUNT,), 2)
    expected = make("pgd", Attack)(model, x, y, make(LINF, ThreatModel), goal=goals)
    for goal in (2, np.int64(2), goals, goals.tolist(), goals.numpy()):
        same(inradius.attack(model, x, y, LINF, "pgd", goal=goal), expected)


def test_a_loss_of_torch_is_the_objective():
    model = network(dtype=torch.float64)
    x, y = examples(model, dtype=torch.float64)
    expected = inradius.attack(model, x, y, LINF, "pgd(objective=cross_entropy())")

    def cross_entropy(logits, labels):
        return nn.functional.cross_entropy(logits, labels, reduction="none")

    for given_one in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), cross_entropy, "cross_entropy"):
        same(inradius.attack(model, x, y, LINF, "pgd", objective=given_one), expected, 1e-9)
    loss = nn.CrossEntropyLoss()
    inradius.attack(model, x, y, LINF, "pgd", objective=loss, goal=1)
    assert loss.reduction == "mean"


@pytest.mark.parametrize("spec", ["pgd(steps=6)", "apgd(steps=6)", "ddn(steps=30)", "square(queries=30)"])
@pytest.mark.parametrize("threat", [LINF, "l2(eps=0.5)", "union(linf(eps=0.1), l2(eps=0.4))"])
def test_several_radii(spec, threat):
    model = network()
    x, y = examples(model)
    chosen = make(threat, ThreatModel)
    if chosen.radius is None:
        with pytest.raises(InputError, match="no single radius"):
            inradius.attack(model, x, y, threat, spec, radii=[0.1])
        return
    radii = [2 * chosen.radius, 0.25 * chosen.radius, chosen.radius]
    found = inradius.attack(model, x, y, threat, spec, radii=radii, batch_size=9)
    assert found.delta.shape == (3, *x.shape)
    assert all(getattr(found, name).shape == (3, COUNT) for name in FIELDS if name != "delta")
    for place, radius in enumerate(radii):
        scaled = chosen.scaled(radius / chosen.radius)
        success, delta = found.success[place], found.delta[place]
        assert bool(scaled.contains(delta, x)[success].all())
        assert bool((model(x + delta).argmax(1) != y)[success].all())
        torch.testing.assert_close(found.gauge[place], scaled.gauge(delta, x))
    # what is broken at a radius is broken at every larger one
    assert bool((found.success[1] <= found.success[2]).all() and (found.success[2] <= found.success[0]).all())
    if not make(spec, Attack).minimal:
        # the smallest radius is attacked as it is alone
        alone = inradius.attack(model, x, y, chosen.scaled(0.25), spec)
        assert torch.equal(alone.success, found.success[1])


def test_iterates_of_each_batch_are_seen_in_turn():
    model = network()
    x, y = examples(model)
    seen = []
    inradius.attack(
        model, x, y, LINF, "pgd(steps=3)", batch_size=10, observe=lambda step, delta: seen.append(len(delta))
    )
    assert seen == [10] * 4 + [10] * 4 + [3] * 4


def test_an_outcome_is_asked():
    model = network()
    x, y = examples(model)
    top1 = inradius.attack(model, x, y, "linf(eps=0.4)", "pgd").success
    top2 = inradius.attack(model, x, y, "linf(eps=0.4)", "pgd", outcome="top_k(k=2)").success
    assert int(top2.sum()) < int(top1.sum())


def test_no_input_is_no_answer():
    model = network()
    found = inradius.attack(model, torch.zeros(0, 12), torch.zeros(0, dtype=torch.long), LINF, "pgd")
    assert found.success.shape == (0,)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": "images"}, "the inputs are a str"),
        ({"x": [[1.0, 2.0], [3.0]]}, "numbers of one shape"),
        ({"x": np.zeros((3, 12), dtype=np.uint8)}, "a division by 255"),
        ({"x": torch.zeros(12)}, "x\\[None\\]"),
        ({"x": np.array([[object()] * 12])}, "numbers of one shape"),
        ({"y": 3}, "the labels are a int"),
        ({"y": [0, 1]}, "labels have shape \\(2,\\) for 23 inputs"),
        ({"goal": [1, 2]}, "goals have shape \\(2,\\)"),
        ({"goal": 9}, "goal 9 is out of range"),
        ({"goal": "cat"}, "the goals are a str"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"radii": []}, "radii=\\[\\]"),
        ({"radii": [0.1, -1]}, "finite numbers > 0"),
        ({"radii": 0.0}, "finite numbers > 0"),
        ({"objective": 3}, "the objective is a int"),
        ({"objective": lambda logits, y: logits.sum()}, "one number for each"),
        ({"attack": "deepfool", "objective": nn.CrossEntropyLoss()}, "no parameter for one"),
        ({"model": 3}, "the model is a int"),
        ({"threat": 0.1}, "the threat is"),
    ],
)
def test_bad_arguments_are_one_sentence(changes, told):
    model = network()
    x, y = examples(model)
    asked = {"model": model, "x": x, "y": y, "threat": LINF, "attack": "pgd"} | changes
    with pytest.raises((InputError, UnsupportedError), match=told):
        inradius.attack(**asked)


def test_parameters_beside_a_spec():
    assert make("pgd", Attack, steps=5) == make("pgd(steps=5)")
    assert make("pgd(step=0.1)", steps=5, objective=make("margin()")) == make(
        "pgd(step=0.1, steps=5, objective=margin())"
    )
    for spec, parameters, told in (
        ("pgd(steps=5)", {"steps": 6}, "given twice"),
        ("pgd", {"stride": 6}, "no parameter 'stride'"),
        ("pgd", {"steps": 0}, "steps=0"),
        (make("pgd"), {"steps": 6}, "made already"),
    ):
        with pytest.raises(SpecError, match=told):
            make(spec, Attack, **parameters)


@pytest.mark.parametrize("spec", ["pgd(steps=3)", "ddn(steps=5)"])
def test_a_mask_of_each_example_goes_with_it(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    model = network()
    x, y = examples(model, count=7)
    mask = np.random.default_rng(0).random((7, 12)) > 0.5
    np.save("mask.npy", mask)
    found = inradius.attack(model, x, y, "linf(eps=0.1, mask='mask.npy')", spec, batch_size=2, radii=[0.1, 0.3, 0.2])
    assert not found.delta[:, torch.from_numpy(~mask)].any()
    assert found.success.any()
    assert (found.success[2] >= found.success[0]).all()


def test_radii_and_goals_come_as_arrays_too():
    model = network()
    x, y = examples(model)
    one, other, third = (
        inradius.attack(model, x, y, LINF, "pgd(steps=3)", radii=radii, goal=goal)
        for radii, goal in (
            ([0.1, 0.2], 3),
            (np.array([0.1, 0.2]), np.array(3)),
            (torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor(3)),
        )
    )
    same(one, other)
    same(one, third)


def test_what_observes_is_a_function():
    model = network()
    with pytest.raises(InputError, match=r"observe is a int, 3; allowed is a function of \(step, delta\)"):
        inradius.attack(model, *examples(model), LINF, "pgd(steps=3)", observe=3)
