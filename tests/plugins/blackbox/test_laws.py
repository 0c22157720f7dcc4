"""Black-box attacks keep the laws of attacks on every set that they apply to, and say in one sentence where they do not."""

import pytest
from gradient_cases import labelled, perceptron, threat_of

import inradius
from inradius import Attack, UnsupportedError
from inradius.testing import attacks, check_attack
from inradius.testing.strategies import inputs

BALLS = [
    "linf(eps=0.2)",
    "linf(eps=0.3, bounds=None)",
    "l2(eps=0.5)",
    "l2(eps=0.5, bounds=None)",
    "l1(eps=1.0)",
    "l1(eps=1.0, bounds=None, k1=1, k2=3)",
    "union(linf(eps=0.2), l1(eps=1.1))",
    "l0(k=2)",
    "linf(eps=0.0)",
]
OTHERS = ["box(lo=-0.1, hi=0.3)", "patch(size=2, eps=0.4)", "affine(basis='ramps', eps=0.3)"]
EVERYWHERE = [
    "square(queries=24)",
    "spsa(steps=3, samples=5)",
    "boundary(queries=50)",
    "hop_skip_jump(queries=60, samples=4)",
    "gaussian_noise(queries=6)",
    "uniform_noise(queries=6)",
]
FEW = [attacks.answers_are_inside, attacks.success_means_fooled, attacks.queries_are_counted]
PIXELS = ["pointwise(queries=50, tries=15)", "salt_and_pepper(queries=20)"]


@pytest.mark.parametrize("threat", ["linf(eps=0.2)", "l2(eps=0.5, bounds=None)", "union(linf(eps=0.2), l1(eps=1.1))"])
@pytest.mark.parametrize("attack", EVERYWHERE)
def test_laws(attack, threat):
    check_attack(attack, threat, shape=(1, 3, 3), examples=1)


@pytest.mark.slow
@pytest.mark.parametrize("threat", BALLS + OTHERS)
@pytest.mark.parametrize("attack", EVERYWHERE)
def test_laws_on_every_set(attack, threat):
    check_attack(attack, threat, shape=(1, 3, 3), examples=8)


@pytest.mark.parametrize("threat", ["l1(eps=1.0)", "l0(k=2)", *OTHERS])
@pytest.mark.parametrize("attack", EVERYWHERE[:1])
def test_laws_on_other_sets(attack, threat):
    check_attack(attack, threat, shape=(1, 3, 3), examples=1)


@pytest.mark.parametrize("attack", ["square(queries=12)", *EVERYWHERE[4:]])
def test_answers_over_moved_mass(attack):
    check_attack(attack, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2)), examples=1, only=FEW)


@pytest.mark.slow
@pytest.mark.parametrize("attack", EVERYWHERE)
def test_laws_over_moved_mass(attack):
    check_attack(attack, "wasserstein(eps=0.1)", shape=(1, 2, 2), inputs=inputs((1, 2, 2)), examples=2)


@pytest.mark.parametrize("threat", ["l1(eps=1.0)", "l0(k=2)"])
@pytest.mark.parametrize("attack", PIXELS)
def test_laws_of_attacks_on_pixels(attack, threat):
    check_attack(attack, threat, shape=(2, 2, 3), examples=1)


@pytest.mark.parametrize("attack", ["jsma(most=0.5)", "jsma(most=0.5, pairs=False, toward='high', per='coordinate')"])
@pytest.mark.parametrize("threat", ["l0(k=3)", "l0(k=3, per='coordinate', bounds=(-1.0, 2.0))"])
def test_laws_of_saliency_maps(attack, threat):
    check_attack(attack, threat, shape=(2, 2, 3), examples=2)


@pytest.mark.parametrize("attack", [*EVERYWHERE, PIXELS[0]])
def test_laws_on_vectors_and_sequences(attack):
    for shape in ((7,), (3, 2)):
        check_attack(attack, "l2(eps=0.5)", shape=shape, examples=1, only=FEW)


@pytest.mark.parametrize(
    ("attack", "threat", "reason"),
    [
        ("salt_and_pepper()", "linf(eps=0.2, bounds=None)", "the ends of a box"),
        ("pointwise()", "l2(eps=0.2, bounds=None)", "the ends of a box"),
        ("jsma()", "linf(eps=0.2)", "does not count pixels"),
        ("jsma()", "l1(eps=0.2)", "does not count pixels"),
    ],
)
def test_a_set_without_what_an_attack_needs_is_one_sentence(attack, threat, reason):
    model = perceptron()
    x, y = labelled(model, 4)
    with pytest.raises(UnsupportedError, match=reason) as caught:
        inradius.make(attack, Attack)(model, x, y, threat_of(threat))
    assert "\n" not in str(caught.value)
