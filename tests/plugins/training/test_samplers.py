"""Samplers: the laws of all, the worst class, and batches of labelled and pseudo-labelled examples."""

import os
import subprocess
import sys
from types import SimpleNamespace

import attrs
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inradius
from inradius.components import registry
from inradius.testing import check_sampler, laws, samplers
from inradius.testing.components import spec_round_trip
from inradius.training.recipe import Recipe
from inradius.training.slots import Sampler
from inradius_datasets.joined import joined

SPECS = [
    "shuffled()",
    "cfol(eta=0.3)",
    "cfol(eta=0.3, gamma=0.1, reweight=True)",
    "cfol(eta=0.5, gamma=0.0, reset_at=(0.3, 0.6))",
    "mixed()",
    "mixed(0.25)",
]


@pytest.mark.parametrize("spec", SPECS)
def test_each_keeps_the_laws(spec):
    check_sampler(spec, examples=4)


def test_every_sampler_is_here():
    found = {name for name, entry in registry.entries().items() if entry.kind is Sampler}
    assert found == {inradius.make(spec).spec_name() for spec in SPECS}


@attrs.frozen(kw_only=True)
class Plain(Sampler):
    """Every example in its order."""

    def rows(self, data, run):
        yield from torch.arange(len(data)).tensor_split(run.count(data))


def forgetful(self, data, run):
    # what is kept elsewhere is lost with the process, and with another run
    FORGOTTEN.append(run)
    yield from (torch.arange(len(data)).roll(len(FORGOTTEN))).tensor_split(run.count(data))


FORGOTTEN = []
BROKEN = {
    spec_round_trip: Plain.rows,
    samplers.batches_are_of_the_data: lambda self, data, run: iter(torch.arange(len(data)).tensor_split(2)),
    samplers.equal_runs_draw_equal_batches: forgetful,
    samplers.a_resumed_run_draws_what_a_whole_one_does: forgetful,
}


def test_the_plain_sampler_is_right():
    check_sampler(Plain(), examples=1, without=[spec_round_trip])


@pytest.mark.parametrize("law", laws(Sampler))
def test_a_sampler_that_breaks_a_law_is_caught(law):
    kind = attrs.frozen(kw_only=True)(type("Broken", (Plain,), {"rows": BROKEN[law], "__annotations__": {}}))
    with pytest.raises(AssertionError) as caught:
        check_sampler(kind(), examples=1, only=[law])
    assert any(law.__name__ in note for note in caught.value.__notes__)


def blobs(counts, seed=0):
    """Two numbers for each example, around a place of its class."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    generator = torch.Generator().manual_seed(seed)
    places = torch.tensor([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])
    inputs = places[labels] + 0.1 * torch.rand(len(labels), 2, generator=generator)
    return inradius.Dataset.of(inputs, labels, name="blobs")


def engine(sampler, data, batch_size=64):
    """As much of a run as samplers ask for."""
    memory = {}
    return SimpleNamespace(
        seed=0,
        epoch=0,
        progress=0.0,
        classes=data.classes,
        data=data,
        defense="a defense",
        recipe=SimpleNamespace(batch_size=batch_size),
        count=lambda given: sampler.count(given, batch_size),
        memory=lambda component: memory,
        log=lambda **metrics: None,
    )


def learn(sampler, data, wrong, epochs, batch_size=64):
    """The distribution after epochs in which the examples that ``wrong`` says are mistaken."""
    run = engine(sampler, data, batch_size)
    for _ in range(epochs):
        for rows in sampler.rows(data, run):
            sampler.observe(data.labels[rows], wrong[rows], run)
        run.epoch += 1
    return run


def test_the_first_classes_are_drawn_uniformly_and_so_are_the_examples_of_each():
    import scipy.stats

    data, sampler = blobs([10, 30, 200]), inradius.make("cfol()")
    run = engine(sampler, data)
    drawn = []
    for epoch in range(40):
        run.epoch = epoch
        for rows in sampler.rows(data, run):
            drawn.append(rows)
            sampler.observe(data.labels[rows], torch.zeros(len(rows), dtype=torch.bool), run)
    rows = torch.cat(drawn)
    assert len(rows) == 40 * 240
    assert scipy.stats.chisquare(data.labels[rows].bincount()).pvalue > 0.01
    for label in range(3):
        inside = rows[data.labels[rows] == label].bincount(minlength=240)[data.labels == label]
        assert scipy.stats.chisquare(inside).pvalue > 0.01


def test_the_distribution_is_that_of_exp3():
    data = blobs([4, 4, 4])
    for gamma in (0.0, 0.5, 1.0):
        sampler = inradius.make(f"cfol(eta=0.25, gamma={gamma})")
        run = engine(sampler, data)
        rows = sampler.rows(data, run)
        next(rows)
        # one third each at first
        sampler.observe(torch.tensor([0, 0, 2, 1]), torch.tensor([True, True, True, False]), run)
        w = 0.25 * 3 * torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64)
        wanted = gamma / 3 + (1 - gamma) * w.softmax(0)
        torch.testing.assert_close(sampler.distribution(run.memory(sampler)), wanted)


def increments(divided, repeats=400):
    """The mean growth of w in a batch at a p that is far from uniform, its standard error, and what is expected."""
    data = blobs([30, 50, 40])
    sampler = inradius.make("cfol(eta=0.01, gamma=0.2)")
    run = engine(sampler, data, batch_size=120)
    wrong = torch.rand(120, generator=torch.Generator().manual_seed(5)) < torch.tensor([0.9, 0.4, 0.1])[data.labels]
    grown = []
    for epoch in range(repeats):
        run.epoch = epoch
        run.memory(sampler)["w"] = [0.0, 1.5, -1.0]
        rows = next(iter(sampler.rows(data, run)))
        p = sampler.distribution(run.memory(sampler))
        sampler.observe(data.labels[rows], wrong[rows], run)
        gain = torch.tensor(run.memory(sampler)["w"], dtype=torch.float64) - torch.tensor([0.0, 1.5, -1.0])
        grown.append(gain if divided else gain * p)
        run.memory(sampler)["pending"] = []
    grown = torch.stack(grown)
    rates = torch.stack([wrong[data.labels == label].double().mean() for label in range(3)])
    return grown.mean(0), grown.std(0) / repeats**0.5, 0.01 * 120 * rates


def test_the_increment_is_unbiased():
    mean, error, wanted = increments(divided=True)
    assert bool(((mean - wanted).abs() < 4 * error).all())
    # without the division by p it is not
    mean, error, wanted = increments(divided=False)
    assert bool(((mean - wanted).abs() > 20 * error).all())


def test_the_worst_class_is_drawn_most():
    data = blobs([50, 50, 50])
    wrong = torch.arange(150) % 10 < torch.tensor([2, 7, 3])[data.labels]
    sampler = inradius.make("cfol(eta=0.02)")
    p = sampler.distribution(learn(sampler, data, wrong, epochs=5).memory(sampler))
    assert p.argmax() == 1
    assert p[1] > 0.6
    # what is explored stays
    assert bool((p >= 0.5 / 3).all())
    idle = inradius.make("cfol(eta=0.02, gamma=1)")
    assert idle.distribution(learn(idle, data, wrong, epochs=5).memory(idle)).tolist() == pytest.approx([1 / 3] * 3)


def test_a_class_without_examples_is_never_drawn():
    data = blobs([20, 0, 20])
    sampler = inradius.make("cfol(eta=0.1)")
    run = learn(sampler, data, torch.ones(40, dtype=torch.bool), epochs=3, batch_size=8)
    p = sampler.distribution(run.memory(sampler))
    assert p[1] == 0
    assert p.sum() == pytest.approx(1)
    assert run.memory(sampler)["w"][1] == 0


def test_an_update_that_looks_ahead_is_weighed_by_what_was_drawn_from():
    data, sampler = blobs([8, 8, 8]), inradius.make("cfol(eta=1.0, gamma=0.0)")
    run = engine(sampler, data, batch_size=4)
    rows = sampler.rows(data, run)
    next(rows), next(rows)
    labels, wrong = torch.tensor([0, 0, 1]), torch.ones(3, dtype=torch.bool)
    for _ in range(3):
        # both were drawn from one third each, and the second is told of twice
        before = torch.tensor(run.memory(sampler)["w"], dtype=torch.float64)
        sampler.observe(labels, wrong, run)
        after = torch.tensor(run.memory(sampler)["w"], dtype=torch.float64)
        torch.testing.assert_close(after - before, torch.tensor([6.0, 3.0, 0.0], dtype=torch.float64))


def test_what_was_learned_is_forgotten_where_it_is_asked_for():
    data, sampler = blobs([8, 8, 8]), inradius.make("cfol(eta=0.1, reset_at=(0.5,))")
    run = engine(sampler, data, batch_size=24)
    grown = []
    for epoch, progress in enumerate((0.0, 0.25, 0.5, 0.75)):
        run.epoch, run.progress = epoch, progress
        for rows in sampler.rows(data, run):
            sampler.observe(data.labels[rows], torch.ones(24, dtype=torch.bool), run)
        grown.append(sum(run.memory(sampler)["w"]))
    assert grown[0] < grown[1]
    assert grown[2] < grown[1]
    assert grown[2] < grown[3]


def test_reweighing_draws_uniformly_and_weighs_by_p_over_the_share():
    data, sampler = blobs([10, 20, 30]), inradius.make("cfol(eta=0.05, reweight=True)")
    run = learn(sampler, data, data.labels == 0, epochs=2, batch_size=16)
    assert sorted(torch.cat(list(sampler.rows(data, run))).tolist()) == list(range(60))
    p = sampler.distribution(run.memory(sampler))
    weights = sampler.weights(data.labels, run)
    torch.testing.assert_close(weights, (p / torch.tensor([10, 20, 30]) * 60).float()[data.labels])
    assert weights.mean() == pytest.approx(1)
    # divided by the share of the class, that is what the increment is then unbiased by
    assert run.memory(sampler)["w"] == pytest.approx([2 * 0.05 * 10 / (10 / 60), 0, 0])


def test_weights_of_a_sampler_multiply_the_losses(tmp_path):
    data = blobs([4, 8, 12])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Linear(2, 3)
    weight, bias = (p.detach().clone() for p in model.parameters())
    options = {"epochs": 1, "batch_size": 24, "validation": 0.0, "optimizer": "sgd", "lr": 0.1, "device": "cpu"}
    inradius.train(
        "standard()", model, data, "linf(eps=0.1)", folder=tmp_path, sampler="cfol(reweight=True)", **options
    )
    # p is uniform in the first batch, so that each class counts alike
    each = torch.tensor([24 / 12, 24 / 24, 24 / 36])[data.labels]
    p = (data.inputs @ weight.T + bias).softmax(1)
    slope = ((p - nn.functional.one_hot(data.labels, 3)) * each[:, None]).T @ data.inputs / 24
    torch.testing.assert_close(model.weight.detach(), weight - 0.1 * slope)


def test_a_defense_that_tells_of_no_mistakes_is_named(tmp_path):
    @attrs.frozen(kw_only=True)
    class Silent(inradius.Defense):
        def step(self, model, batch, threat, run):
            run.descend(nn.functional.cross_entropy(model(batch.inputs), batch.labels, reduction="none"))

    with pytest.raises(inradius.UnsupportedError, match=r"cfol\(\) learns from the mistakes of each batch, and silent"):
        inradius.train(
            Silent(), nn.Linear(2, 3), blobs([8, 8, 8]), "linf(eps=0.1)", folder=tmp_path, batch_size=4, sampler="cfol"
        )


def two_sets(first=12, others=30):
    return joined(blobs([first]), blobs([others], seed=1))


def test_each_batch_has_its_share_of_the_first_set():
    data, sampler = two_sets(12, 30), inradius.make("mixed()")
    run = engine(sampler, data, batch_size=8)
    assert run.count(data) == 3
    seen = []
    for epoch in range(3):
        run.epoch = epoch
        batches = list(sampler.rows(data, run))
        assert [(data.source[rows] == 0).sum() for rows in batches] == [4, 4, 4]
        assert [len(rows) for rows in batches] == [8, 8, 8]
        rows = torch.cat(batches)
        assert len(rows.unique()) == 24
        assert sorted(rows[data.source[rows] == 0].tolist()) == list(range(12))
        seen.append(rows.tolist())
    assert len({tuple(rows) for rows in seen}) == 3
    # in time all of the others are seen
    assert len(set().union(*seen)) > 36


def test_few_others_are_seen_again_and_all_before_any_for_the_third_time():
    data, sampler = two_sets(20, 6), inradius.make("mixed(0.5)")
    rows = torch.cat(list(sampler.rows(data, engine(sampler, data, batch_size=10))))
    assert sorted(rows[rows >= 20].bincount()[20:].tolist()) == [3, 3, 3, 3, 4, 4]


def test_a_small_first_set_may_leave_no_room_for_the_others():
    data, sampler = two_sets(1, 20), inradius.make("mixed(0.9)")
    assert [rows.tolist() for rows in sampler.rows(data, engine(sampler, data, batch_size=10))] == [[0]]


def test_shares_that_are_not_halves():
    data, sampler = two_sets(12, 60), inradius.make("mixed(0.3)")
    batches = list(sampler.rows(data, engine(sampler, data, batch_size=10)))
    assert [(int((rows < 12).sum()), len(rows)) for rows in batches] == [(3, 10)] * 4


@pytest.mark.parametrize(
    ("spec", "data", "size", "message"),
    [
        (
            "mixed()",
            blobs([8, 8]),
            8,
            "blobs has only one; allowed are data such as joined and pseudo_labelled make",
        ),
        ("mixed(0.01)", joined(blobs([8]), blobs([8])), 8, "gives a set no example in a batch of 8"),
        ("mixed(1)", joined(blobs([8]), blobs([8])), 8, "gives a set no example"),
    ],
)
def test_data_that_cannot_be_mixed_are_named(tmp_path, spec, data, size, message):
    with pytest.raises(inradius.InputError, match=message):
        inradius.train(
            "standard()", nn.Linear(2, 2), data, "linf(eps=0.1)", folder=tmp_path, batch_size=size, sampler=spec
        )


def test_joined_data_are_told_apart_and_numbered_anew():
    a, b = blobs([3, 2]), blobs([4], seed=1)
    data = joined(a, b.select(torch.tensor([3, 1])), a)
    assert data.index.tolist() == [0, 1, 2, 3, 4, 8, 6, 9, 10, 11, 12, 13]
    assert data.source.tolist() == [0] * 5 + [1] * 2 + [2] * 5
    assert torch.equal(data.inputs[5], b.inputs[3])
    assert data.name == "joined(blobs, blobs, blobs)"
    assert data.targets is None


def test_joined_data_keep_mixed_labels():
    a, b = blobs([3, 2]), blobs([2], seed=1)
    soft = attrs.evolve(b, targets=torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    assert joined(a, soft).targets.tolist() == [[1, 0]] * 3 + [[0, 1]] * 2 + [[0.5, 0.5], [0.25, 0.75]]
    with pytest.raises(inradius.InputError, match=r"mixed labels have \[2\] classes, and there are 3"):
        joined(blobs([1, 1, 1]), soft)


@pytest.mark.parametrize("other", [blobs([2]).inputs.double(), blobs([2]).inputs[:, :1], None])
def test_sets_that_do_not_go_together_are_named(other):
    a = blobs([2])
    b = attrs.evolve(a, name="more", **({"bounds": None} if other is None else {"inputs": other}))
    with pytest.raises(
        inradius.InputError, match=r"more has inputs of shape .* but blobs has .*; allowed are sets that agree"
    ):
        joined(a, b)
    with pytest.raises(inradius.InputError, match="joined was given 1 data sets"):
        joined(a)


def test_a_network_labels_what_is_not_labelled(tmp_path):
    network = inradius.make("mlp(64, 10)")
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    a, b = (inradius.make(f"digits(split={split!r})") for split in ("train", "held_out"))
    file = str(tmp_path / "w.safetensors")
    spec = f"pseudo_labelled(digits(split='train'), digits(split='held_out'), 'mlp(64, 10)', weights={file!r})"
    data = inradius.make(spec, inradius.Dataset)
    assert data.name == spec
    assert torch.equal(data.labels[: len(a)], a.labels)
    assert torch.equal(data.labels[len(a) :], network(b.inputs).argmax(1))
    assert not torch.equal(data.labels[len(a) :], b.labels)
    assert torch.equal(data.inputs, torch.cat([a.inputs, b.inputs]))
    assert len(data.index.unique()) == len(data)
    assert data.source.bincount().tolist() == [len(a), len(b)]
    # a network itself, as a call in the spec makes one
    called = inradius.make(spec.replace("'mlp(64, 10)'", "mlp(64, 10)"), inradius.Dataset)
    assert torch.equal(called.labels, data.labels)
    assert "network " in called.name


def test_a_network_that_does_not_fit_the_data_is_named():
    with pytest.raises(inradius.InputError, match="the model fails on inputs of shape"):
        inradius.make("pseudo_labelled(digits(split='train'), digits(split='held_out'), 'mlp(63, 10)')")


def test_no_pseudo_label_is_held_out():
    data = two_sets(20, 60)
    training, held_out = Recipe(validation=0.25).split(data)
    assert len(held_out) == 5
    assert set(held_out.source.tolist()) == {0}
    assert len(training) == 75
    assert not set(training.index.tolist()) & set(held_out.index.tolist())


def test_training_on_both(tmp_path):
    a, b = blobs([20, 20, 20]), blobs([50, 50, 50], seed=1)
    data = joined(a, b)
    model = inradius.train(
        "adversarial(fgsm())",
        nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3)),
        data,
        "linf(eps=0.02)",
        folder=tmp_path,
        sampler="mixed",
        transforms=["mixup()"],
        lr=0.02,
        batch_size=16,
    )
    assert (model(b.inputs).argmax(1) == b.labels).float().mean() > 0.95


SCRIPT = """
import os, sys, torch, inradius
torch.manual_seed(int(os.environ.get("RANK", 0)))
model = inradius.make("mlp(64, 16, 10)")
inradius.train("adversarial(fgsm())", model, "digits(split='train')", "linf(eps=0.05)", folder=sys.argv[1], epochs=2, device="cpu",
               sampler="cfol(eta=0.001)")
"""


@pytest.mark.slow
def test_two_processes_draw_the_rows_of_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, folder in (([sys.executable], "one"), (launch, "two")):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*start, str(script), str(tmp_path / folder)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    one, two = (inradius.make("mlp(64, 16, 10)") for _ in range(2))
    inradius.load_weights(one, tmp_path / "one" / "last.safetensors")
    inradius.load_weights(two, tmp_path / "two" / "last.safetensors")
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cfol(eta=0)", "eta=0.0 is not allowed; allowed is a finite number > 0"),
        ("cfol(gamma=2)", "gamma=2.0 is not allowed"),
        ("cfol(reset_at=(0.5, 0.2))", "allowed are rising shares of the run"),
        ("mixed(first=-1)", "first=-1.0 is not allowed"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)
