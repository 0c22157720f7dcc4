"""Transforms: the laws of all, and what each does to a batch."""

import attrs
import numpy as np
import pytest
import torch
from torch import nn

import inradius
from inradius.components import registry
from inradius.rng import ExampleRNG
from inradius.testing import check_transform, laws, transforms
from inradius.testing.components import spec_round_trip
from inradius.training.losses import cross_entropy
from inradius.training.slots import Transform

IMAGES = [
    "shift(1)",
    "crop(3)",
    "crop(padding=2, border='reflect')",
    "flip()",
    "cutout(size=2)",
    "cutout(size=3, inside=False)",
    "label_smoothing(0.2)",
]
MIXING = ["mixup()", "mixup(alpha=0.2, per='example')"]


@pytest.mark.parametrize("spec", IMAGES)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.3, 0.7), None])
def test_each_keeps_the_laws(spec, bounds):
    check_transform(spec, bounds=bounds, shape=(2, 4, 5), examples=8)


@pytest.mark.parametrize("spec", MIXING)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.3, 0.7), None])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 3)])
def test_those_that_mix_keep_the_other_laws(spec, bounds, shape):
    check_transform(spec, bounds=bounds, shape=shape, examples=8, without=[transforms.batch_mates_change_nothing])


def test_every_transform_is_here():
    found = {name for name, entry in registry.entries().items() if entry.kind is Transform}
    assert found == {inradius.make(spec).spec_name() for spec in [*IMAGES, *MIXING]}


def test_labels_of_flat_inputs_are_smoothed():
    check_transform("label_smoothing()", shape=(3,), examples=8)


@attrs.frozen(kw_only=True)
class Idle(Transform):
    """Changes nothing."""

    def __call__(self, batch, rng, classes):
        return batch


def scribble(self, batch, rng, classes):
    batch.inputs.mul_(0.5)
    return batch


COUNTER = iter(range(1000))
BROKEN = {
    spec_round_trip: lambda self, batch, rng, classes: batch,  # nobody registered it
    transforms.inputs_stay_valid: lambda self, batch, rng, classes: attrs.evolve(batch, inputs=batch.inputs + 0.1),
    transforms.examples_keep_their_numbers: lambda self, batch, rng, classes: batch.select(torch.arange(4, -1, -1)),
    transforms.targets_are_distributions: lambda self, batch, rng, classes: attrs.evolve(batch, targets=None),
    transforms.equal_streams_give_equal_batches: lambda self, batch, rng, classes: attrs.evolve(
        batch, labels=batch.labels + next(COUNTER)
    ),
    transforms.the_given_batch_is_left_alone: scribble,
    transforms.batch_mates_change_nothing: lambda self, batch, rng, classes: attrs.evolve(
        batch, inputs=batch.inputs * 0 + len(batch) / 10
    ),
}


@pytest.mark.parametrize("law", laws(Transform))
def test_a_transform_that_breaks_a_law_is_caught(law):
    kind = attrs.frozen(kw_only=True)(type("Broken", (Idle,), {"__call__": BROKEN[law], "__annotations__": {}}))
    with pytest.raises(AssertionError) as caught:
        check_transform(kind(), examples=20, only=[law])
    assert any(law.__name__ in note for note in caught.value.__notes__)


def images(count=1, shape=(1, 4, 6), bounds=(0.0, 1.0)):
    generator = torch.Generator().manual_seed(0)
    inputs = 0.1 + 0.8 * torch.rand(1, *shape, generator=generator, dtype=torch.float64)
    return inradius.Dataset.of(inputs.repeat(count, 1, 1, 1), torch.zeros(count), bounds=bounds)


def change(spec, batch, seed=0, classes=3):
    return inradius.make(spec, Transform)(batch, ExampleRNG(seed, batch.index), classes)


def test_crop_is_a_window_of_the_padded_image():
    batch = images(400)
    for spec, wide in (
        ("crop(2)", nn.functional.pad(batch.inputs[:1], (2,) * 4)),
        ("crop(2, border='reflect')", nn.functional.pad(batch.inputs[:1], (2,) * 4, mode="reflect")),
    ):
        windows = wide.unfold(2, 4, 1).unfold(3, 6, 1)[0, 0].reshape(25, -1)
        found = (change(spec.replace("crop(2", "crop(padding=2"), batch).inputs.flatten(1)[:, None] == windows).all(2)
        assert bool(found.any(1).all())
        # each of the 25 places is drawn
        assert bool(found.any(0).all())


def test_crop_pads_with_the_lowest_valid_value():
    batch = images(64, bounds=(-1.0, 1.0))
    assert change("crop(4)", batch).inputs.min() == -1


def test_crop_by_its_default_is_a_shift_by_four():
    batch = images(20)
    assert torch.equal(change("crop()", batch).inputs, change("shift(4)", batch).inputs)


def test_flip_mirrors_about_half():
    batch = images(4000)
    mirrored = (change("flip()", batch).inputs == batch.inputs.flip(3)).flatten(1).all(1)
    same = (change("flip()", batch).inputs == batch.inputs).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 0.45 < mirrored.double().mean() < 0.55
    assert torch.equal(change("flip(1)", batch).inputs, batch.inputs.flip(3))
    assert torch.equal(change("flip(0)", batch).inputs, batch.inputs)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_cutout_hides_one_square(bounds):
    batch = images(300, bounds=bounds)
    after = change("cutout(3)", batch).inputs
    hidden = after == bounds[0]
    assert torch.equal(torch.where(hidden, batch.inputs, after), batch.inputs)
    assert bool((hidden.sum((1, 2, 3)) == 9).all())
    assert bool((hidden.any(3).sum((1, 2)) == 3).all())
    # 2 by 4 places inside of 4 by 6 pixels
    assert len(hidden.flatten(1).unique(dim=0)) == 8


def test_cutout_may_reach_over_the_border():
    batch = images(2000)
    hidden = change("cutout(size=3, inside=False)", batch).inputs == 0
    # the middle is any of 4 by 6 pixels
    assert len(hidden.flatten(1).unique(dim=0)) == 24
    assert set(hidden.sum((1, 2, 3)).tolist()) == {4, 6, 9}


def mixture(seed=0, count=64, per="example", alpha=1.4):
    """A batch whose inputs are its one-hot numbers, so that a mixture says what it was made of."""
    batch = inradius.Dataset.of(torch.eye(count, dtype=torch.float64), torch.arange(count) % 3)
    return batch, change(f"mixup(alpha={alpha}, per='{per}')", batch, seed)


@pytest.mark.parametrize("per", ["batch", "example"])
def test_mixup_mixes_inputs_and_labels_alike(per):
    batch, mixed = mixture(per=per)
    torch.testing.assert_close(mixed.inputs.sum(1), torch.ones(64, dtype=torch.float64))
    own = mixed.inputs.diagonal()
    assert bool((own >= 0.5).all())
    # each example is the partner of one
    torch.testing.assert_close((mixed.inputs.sum(0) - own) > 0, torch.ones(64, dtype=torch.bool) & (own < 1))
    one_hot = nn.functional.one_hot(batch.labels, 3).double()
    torch.testing.assert_close(mixed.targets, mixed.inputs @ one_hot)
    assert torch.equal(mixed.labels, batch.labels)
    assert len(own[own < 1].round(decimals=12).unique()) == (1 if per == "batch" else int((own < 1).sum()))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 1.4])
def test_the_coefficient_is_the_larger_of_a_beta_and_its_rest(alpha):
    import scipy.stats

    rng = ExampleRNG(3, torch.arange(4000))
    drawn = inradius.make(f"mixup(alpha={alpha}, per='example')")._weights(rng.uniform()).numpy()
    beta = scipy.stats.beta(alpha, alpha)
    assert scipy.stats.kstest(drawn, lambda t: np.where(t < 0.5, 0, beta.cdf(t) - beta.cdf(1 - t))).pvalue > 0.01


def test_partners_are_a_uniform_permutation():
    import scipy.stats

    counts = torch.zeros(4, 4)
    for seed in range(600):
        _, mixed = mixture(seed, count=4)
        counts += torch.where(torch.eye(4).bool(), mixed.inputs.diagonal() == 1, mixed.inputs > 0)
    assert scipy.stats.chisquare(counts.flatten()).pvalue > 0.01


def test_mixup_mixes_labels_that_are_mixed_already():
    batch, once = mixture(per="example")
    twice = change("mixup()", once, seed=1)
    one_hot = nn.functional.one_hot(batch.labels, 3).double()
    torch.testing.assert_close(twice.targets, twice.inputs @ one_hot)


def test_an_example_alone_stays_as_it_is():
    batch = images()
    mixed = change("mixup()", batch)
    torch.testing.assert_close(mixed.inputs, batch.inputs)
    assert mixed.targets.tolist() == [[1.0, 0.0, 0.0]]


def test_smoothed_labels():
    batch = inradius.Dataset.of(torch.zeros(2, 3), torch.tensor([0, 2]))
    assert change("label_smoothing(0.3)", batch).targets.tolist() == [
        pytest.approx([0.8, 0.1, 0.1]),
        pytest.approx([0.1, 0.1, 0.8]),
    ]
    again = change("label_smoothing(0.5)", change("label_smoothing(0.5)", batch))
    torch.testing.assert_close(again.targets, change("label_smoothing(0.75)", batch).targets)


@attrs.frozen(kw_only=True)
class Watch(inradius.AdversarialDefense):
    """Adversarial training that shows what it saw."""

    name = "watch"

    def loss(self, model, batch, threat, run):
        views = self.views(model, batch, threat, run)
        weight, bias = model[-1].weight, model[-1].bias
        p = (batch.inputs @ weight.T + bias).softmax(1)
        hard = nn.functional.one_hot(batch.labels, 3).double()
        SEEN.append([views.delta, *(((p - t) @ weight).sign() * 0.1 for t in (batch.targets, hard))])
        return cross_entropy(views.attacked(model), batch)


SEEN = []


@pytest.mark.parametrize("spec", ["mixup(alpha=20)", "label_smoothing(0.9)"])
def test_attack_and_loss_share_the_mixed_labels(tmp_path, spec):
    SEEN.clear()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 3)).double()
    rng = ExampleRNG(0, torch.arange(40))
    data = inradius.Dataset.of(rng.uniform((5,)), torch.arange(40) % 3, bounds=None)
    inradius.train(
        Watch(attack=inradius.make("fgsm")),
        model,
        data,
        "linf(eps=0.1, bounds=None)",
        folder=tmp_path,
        epochs=1,
        transforms=[spec],
        device="cpu",
    )
    delta, mixed, hard = SEEN[0]
    torch.testing.assert_close(delta, mixed)
    assert not torch.allclose(delta, hard)


@pytest.mark.parametrize("spec", ["shift()", "crop()", "flip()", "cutout()"])
def test_flat_inputs_are_no_images(spec):
    batch = inradius.Dataset.of(torch.zeros(2, 3), torch.zeros(2))
    with pytest.raises(inradius.InputError, match=r"changes images \(B, C, H, W\), but the inputs have shape \(2, 3\)"):
        change(spec, batch)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cutout(5)", "does not fit into images of 4 by 6 pixels; allowed are sizes up to 4, or inside=False"),
        ("crop(padding=4, border='reflect')", "mirrors more pixels than an image"),
    ],
)
def test_images_that_are_too_small_are_named(spec, message):
    with pytest.raises(inradius.InputError, match=message):
        change(spec, images())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("crop(0)", "padding=0 is not allowed; allowed is an integer ≥ 1"),
        ("crop(border='black')", "border"),
        ("flip(1.5)", "probability=1.5 is not allowed"),
        ("cutout(size=0)", "size=0 is not allowed"),
        ("cutout(inside=1)", "inside=1 is not allowed"),
        ("mixup(alpha=0)", "alpha=0.0 is not allowed"),
        ("mixup(per='pair')", "per"),
        ("label_smoothing(2)", "amount=2.0 is not allowed"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)
