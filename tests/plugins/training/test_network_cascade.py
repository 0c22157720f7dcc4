"""Cascades of networks: no answer can be changed within the set, and training follows what is not certified."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import inradius
from inradius import Certifier, Defense, ThreatModel
from inradius.training.optimisation import Optimisation
from inradius_training import Cascade
from inradius_training.certification.cascade import verdict

SETTINGS = settings(max_examples=6, deadline=None, derandomize=True)
F64 = torch.float64


def threat_of(spec):
    return inradius.make(spec, ThreatModel)


def dual():
    return inradius.make("dual()", Certifier)


def line(slope, offset):
    """Two classes of one number: class 1 where slope · t + offset > 0."""
    layer = nn.Linear(1, 2).double()
    layer.weight.data = torch.tensor([[0.0], [slope]], dtype=F64)
    layer.bias.data = torch.tensor([0.0, offset], dtype=F64)
    return nn.Sequential(layer)


def unchecked(cascade, x):
    """What the first stage that certifies its label says, whatever the stages before it say."""
    label = torch.full((len(x),), -1)
    index = torch.arange(len(x))
    for network in cascade.stages:
        predicted, certified = verdict(network, x, cascade.threat, cascade.certifier, index)
        label = torch.where((label < 0) & certified, predicted, label)
    return label


def changed(before, after):
    """Whether an answer became another answer; a refusal is none."""
    return (before >= 0) & (after >= 0) & (before != after)


def disagreement():
    """The sign of t, and a stage that says 0 everywhere."""
    stages = [line(1.0, 0.0), line(0.0, -1.0)]
    return Cascade(stages, threat_of("linf(eps=1.0, bounds=None)"), dual()).eval()


def test_without_the_agreement_of_earlier_stages_a_certified_answer_changes():
    cascade = disagreement()
    # at 0.5 the first stage says 1 and is undecided, the second is certain of 0; at 1.2 the first is certain of 1
    x, moved = torch.tensor([[0.5]], dtype=F64), torch.tensor([[1.2]], dtype=F64)
    assert cascade.threat.contains(moved - x, x).all()
    assert changed(unchecked(cascade, x), unchecked(cascade, moved)).all()
    assert cascade.answers(x).label.tolist() == [-1]
    assert cascade.answers(moved).label.tolist() == [1]


def test_on_a_line_no_answer_changes_and_the_agreement_alone_prevents_it():
    cascade = disagreement()
    points = torch.linspace(-3, 3, 241, dtype=F64)[:, None]
    near = (points - points.T).abs() <= 1
    for answers, wrong in ((cascade.answers(points).label, False), (unchecked(cascade, points), True)):
        pairs = changed(answers[:, None].expand(-1, len(points)), answers[None].expand(len(points), -1)) & near
        assert bool(pairs.any()) == wrong
    # certain of 1 beyond 1, of 0 below 0 thanks to the second stage, silent between
    label = cascade.answers(points).label
    assert torch.equal(label == 1, points[:, 0] > 1)
    assert torch.equal(label == 0, points[:, 0] <= 0)
    stage = cascade.answers(points).stage
    assert torch.equal(stage == 1, (points[:, 0] <= 0) & (points[:, 0] >= -1))


def stages(seed, count, classes=3, gain=1.0):
    torch.manual_seed(seed)

    def one():
        return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, classes)).double()

    networks = [one() for _ in range(count)]
    for network in networks:
        network[0].weight.data *= gain
    return networks


def attacked(cascade, x, label, threat):
    """Points of the set that the search tries: drawn, extreme, and where an attack on each stage ends."""
    rng = inradius.ExampleRNG(0, torch.arange(len(x)))
    tried = [threat.sample(x, rng=rng) for _ in range(3)]
    tried += [threat.linear_max(rng.normal((2,), dtype=F64), x) for _ in range(3)]
    attack = inradius.make("pgd(steps=4, step=0.5, keep_maximising=True)")
    tried += [attack(network, x, label.clamp(min=0), threat).delta for network in cascade.stages]
    return tried


def test_no_attack_changes_an_answer_and_without_the_check_some_do():
    answered = later = broken = 0

    @SETTINGS
    @given(
        seed=st.integers(0, 2**20),
        count=st.integers(2, 3),
        gain=st.sampled_from([0.5, 2.0, 5.0]),
        spec=st.sampled_from(["linf(eps={}, bounds=None)", "l2(eps={})", "union(linf(eps={0}), l1(eps={0}))"]),
        eps=st.sampled_from([0.02, 0.1, 0.2]),
        certifier=st.sampled_from(["interval()", "dual()", "crown()"]),
    )
    def search(seed, count, gain, spec, eps, certifier):
        nonlocal answered, later, broken
        threat = threat_of(spec.format(eps))
        cascade = Cascade(stages(seed, count, gain=gain), threat, inradius.make(certifier, Certifier)).eval()
        x = torch.rand(60, 2, dtype=F64)
        answers, loose = cascade.answers(x), unchecked(cascade, x)
        answered += int((answers.label >= 0).sum())
        later += int((answers.stage > 0).sum())
        for delta in attacked(cascade, x, answers.label, threat):
            assert threat.contains(delta, x, tol=1e-9).all()
            after = cascade.answers(x + delta).label
            assert not changed(answers.label, after).any()
            broken += int(changed(loose, unchecked(cascade, x + delta)).sum())

    search()
    assert answered > 50
    assert later > 10
    assert broken > 0


def test_answers_are_certified_labels_of_their_stage():
    cascade = Cascade(stages(1, 3), threat_of("l2(eps=0.05)"), dual()).eval()
    x = torch.rand(30, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    found, rows = cascade.answers(x), torch.arange(30)
    labels, certified = zip(*(verdict(n, x, cascade.threat, dual(), rows) for n in cascade.stages), strict=True)
    for row in range(30):
        stage = int(found.stage[row])
        assert (stage < 0) == (int(found.label[row]) < 0)
        if stage >= 0:
            assert certified[stage][row]
            assert not any(certified[earlier][row] for earlier in range(stage))
            assert {int(labels[k][row]) for k in range(stage + 1)} == {int(found.label[row])}


def test_batch_mates_change_no_answer():
    cascade = Cascade(stages(2, 3), threat_of("linf(eps=0.05)"), dual()).eval()
    x = torch.rand(20, 2, dtype=F64, generator=torch.Generator().manual_seed(3))
    whole, part = cascade.answers(x), torch.tensor([7, 3, 19])
    assert torch.equal(whole.stage[part], cascade.answers(x[part]).stage)
    assert torch.equal(whole.label[part], cascade.answers(x[part]).label)
    assert cascade.answers(x[:0]).label.shape == (0,)


def test_logits_say_what_is_answered_and_the_last_class_is_the_refusal():
    cascade = Cascade(stages(2, 2, gain=5.0), threat_of("linf(eps=0.1)"), dual()).eval()
    x = torch.rand(40, 2, dtype=F64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    found, logits = cascade.answers(x), cascade(x)
    assert logits.shape == (40, 4)
    expected = torch.where(found.label < 0, 3, found.label)
    assert torch.equal(logits.argmax(1), expected)
    assert set(expected.tolist()) >= {3, int(found.label.max())}
    (gradient,) = torch.autograd.grad(logits[:, :3].sum(), x)
    assert gradient.isfinite().all()


def test_a_cascade_of_one_answers_where_it_is_certified():
    torch.manual_seed(5)
    cascade = inradius.make("cascade(mlp(2, 6, 3), threat=linf(eps=0.05))", nn.Module).double()
    x = torch.rand(20, 2, dtype=F64)
    y = cascade.stages[0](x).argmax(1)
    proof = dual()(cascade.stages[0], x, y, cascade.threat)
    assert torch.equal(cascade.answers(x).label, torch.where(proof.certified, y, -1))


def test_what_a_cascade_cannot_be_is_told():
    with pytest.raises(inradius.UnsupportedError, match="is not symmetric"):
        Cascade([], threat_of("box(lo=-0.1, hi=0.3)"), dual())
    cascade = disagreement()
    x, y = torch.tensor([[0.5]], dtype=F64), torch.tensor([1])
    with pytest.raises(inradius.UnsupportedError, match="chooses a network by its certificates"):
        dual()(cascade, x, y, cascade.threat)
    chance = Cascade(stages(0, 2), threat_of("linf(eps=0.1)"), inradius.make("projected()", Certifier))
    with pytest.raises(inradius.UnsupportedError, match="fail with probability"):
        chance.answers(torch.rand(3, 2, dtype=F64))


def test_cascades_that_differ_in_their_set_have_different_fingerprints():
    first, second = (Cascade(stages(0, 2), threat_of(f"linf(eps={eps})"), dual()) for eps in (0.1, 0.2))
    assert inradius.fingerprint(first) != inradius.fingerprint(second)


@pytest.fixture(scope="module")
def heaps():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    centres = torch.tensor([[0.2, 0.2], [0.8, 0.3], [0.45, 0.75]])
    inputs = (centres[labels] + 0.12 * torch.randn(120, 2, generator=generator)).clamp(0, 1)
    return inradius.Dataset.of(inputs, labels, name="three heaps")


OPTIONS = {"epochs": 6, "batch_size": 30, "lr": 0.05, "device": "cpu"}
SPEC = "network_cascade(certified(ramp=0.5), stages=2)"


def train(heaps, folder, spec=SPEC, **options):
    return inradius.train(spec, "mlp(2, 12, 3)", heaps, "linf(eps=0.05)", folder=folder, **(OPTIONS | options))


def test_each_stage_is_trained_on_what_the_ones_before_cannot_certify(heaps, tmp_path, monkeypatch):
    seen = []
    certified = type(inradius.make("certified()", Defense))
    fit = certified.fit

    def spy(self, model, data, threat, run):
        seen.append((data, run.held_out))
        return fit(self, model, data, threat, run)

    monkeypatch.setattr(certified, "fit", spy)
    cascade = train(heaps, tmp_path)
    assert len(cascade.stages) == 2
    assert not cascade.training
    for first, second in zip(seen[0], seen[1], strict=True):
        kept = ~verdict(cascade.stages[0], first.inputs, cascade.threat, cascade.certifier, first.index)[1]
        assert second.index.tolist() == first.index[kept].tolist()
    assert 0 < len(seen[1][0]) < len(seen[0][0])


def test_the_folder_holds_the_cascade_and_the_run_goes_on_where_it_stopped(heaps, tmp_path, monkeypatch):
    cascade = train(heaps, tmp_path)
    again = inradius.make("cascade(mlp(2, 12, 3), mlp(2, 12, 3), threat=linf(eps=0.05))", nn.Module)
    inradius.models.load.load_weights(again, tmp_path / "best.safetensors")
    assert torch.equal(cascade(heaps.inputs), again(heaps.inputs))
    result = json.loads((tmp_path / "run.json").read_text())["result"]
    assert 0 < result["best_score"] <= 1
    # nothing is trained again, unless it is asked for
    steps = []
    apply = Optimisation.apply
    monkeypatch.setattr(Optimisation, "apply", lambda *arguments: (steps.append(1), apply(*arguments))[1])
    assert torch.equal(cascade(heaps.inputs), train(heaps, tmp_path)(heaps.inputs))
    assert not steps
    assert torch.equal(cascade(heaps.inputs), train(heaps, tmp_path, fresh=True)(heaps.inputs))
    assert steps


def test_a_second_stage_answers_more_and_never_contradicts_the_first(heaps, tmp_path):
    cascade = train(heaps, tmp_path)
    alone = Cascade(cascade.stages[:1], cascade.threat, cascade.certifier)
    one, two = alone.answers(heaps.inputs).label, cascade.answers(heaps.inputs).label
    assert torch.equal(two[one >= 0], one[one >= 0])
    assert ((two >= 0).sum() >= (one >= 0).sum()).item()


def test_training_stops_where_everything_is_certified(tmp_path):
    inputs = torch.cat([torch.zeros(20, 2), torch.ones(20, 2)])
    data = inradius.Dataset.of(inputs, torch.arange(40) // 20, name="two points")
    options = {"epochs": 5, "batch_size": 10, "lr": 0.05, "device": "cpu"}
    cascade = inradius.train("network_cascade()", "mlp(2, 8, 2)", data, "linf(eps=0.01)", folder=tmp_path, **options)
    assert len(cascade.stages) == 1
    assert (cascade.answers(inputs).label == data.labels).all()


def test_a_set_without_symmetry_is_refused_before_training(heaps, tmp_path):
    with pytest.raises(inradius.UnsupportedError, match="is not symmetric"):
        inradius.train(SPEC, "mlp(2, 12, 3)", heaps, "box(lo=-0.1, hi=0.2)", folder=tmp_path, **OPTIONS)


def test_specs_build_equal_defenses():
    defense = inradius.make("network_cascade(sabr(), certifier=crown(), stages=2)", Defense)
    assert inradius.make(str(defense)) == defense == inradius.make(defense.spec(full=True))
    with pytest.raises(inradius.SpecError, match="stages=0 is not allowed"):
        inradius.make("network_cascade(stages=0)")


def test_a_cascade_that_was_stopped_in_its_second_stage_ends_as_if_it_had_not_been(heaps, tmp_path, monkeypatch):
    whole = train(heaps, tmp_path / "whole")
    apply, left = Optimisation.apply, [28]

    def stop(*arguments):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        apply(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Optimisation, "apply", stop)
        with pytest.raises(KeyboardInterrupt):
            train(heaps, tmp_path / "stopped")
    assert (tmp_path / "stopped" / "parts" / "2" / "state.pt").exists()
    resumed = train(heaps, tmp_path / "stopped")
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_bracket_counts_a_refusal_as_a_mistake(heaps, tmp_path):
    cascade = train(heaps, tmp_path)
    report = inradius.bracket(
        cascade, heaps, "linf(eps=0.05)", attacks="pgd(steps=5)", certifiers=[], folder=tmp_path / "bracket"
    )
    right = (cascade.answers(heaps.inputs).label == heaps.labels).double().mean()
    assert report.clean == pytest.approx(float(right))
    assert report.upper <= report.clean
