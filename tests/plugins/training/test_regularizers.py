"""Regularizers: their values, their gradients, and the weight that answers."""

import copy
import math

import attrs
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

import inradius
from inradius import AttackedBatch
from inradius.processes import Processes
from inradius.rng import derive
from inradius.sets.examples import expand
from inradius.training.recipe import Recipe
from inradius.training.run import Run
from inradius.training.slots import Regularizer, Schedule
from inradius_training.regularizers.grad_align import misalignment
from inradius_training.regularizers.local import losses_at, slopes_at
from inradius_training.regularizers.weights import weights

LOCAL = ["grad_align()", "llr()", "cure()", "elle()"]
WHOLE = ["l1_penalty()", "l2_penalty()"]
SETS = [
    "linf(eps=0.1)",
    "l2(eps=0.5)",
    "l1(eps=1.0)",
    "union(linf(eps=0.1), l2(eps=0.3))",
    "wasserstein(eps=0.3, bounds=(0, 1))",
]
BOX = "linf(eps=0.1)"


def network(*, norm=False, shape=(6,), smooth=True, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        size = math.prod(shape)
        middle = [nn.BatchNorm1d(16)] if norm else []
        layers = [nn.Flatten(), nn.Linear(size, 16), *middle, nn.Softplus(4.0) if smooth else nn.ReLU()]
        return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(16, classes)).double()


def examples(count=8, shape=(6,), classes=3, mixed=False):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(count, *shape, generator=generator, dtype=torch.float64)
    batch = inradius.Dataset.of(inputs, torch.arange(count) % classes, name="random")
    if not mixed:
        return batch
    return attrs.evolve(batch, targets=torch.rand(count, classes, generator=generator).double().softmax(1))


def engine(folder, model, **recipe):
    return Run.open(
        folder,
        model=model,
        defense=inradius.make("standard()", inradius.Defense),
        recipe=Recipe(epochs=4, **recipe),
        held_out=examples(),
        processes=Processes(None, torch.device("cpu")),
        classes=3,
    )


def penalty(folder, spec, model=None, batch=None, threat=BOX, epoch=0):
    """The penalty of each example, or of the weights, not yet weighed."""
    model = model or network().train()
    run = engine(folder, model)
    run.epoch = epoch
    views = AttackedBatch(examples() if batch is None else batch)
    return inradius.make(spec, Regularizer).penalty(model, views, inradius.make(threat), run)


def streams(batch, name, seed=0, epoch=0):
    return inradius.ExampleRNG(derive(0, name, seed, epoch), batch.index)


@pytest.mark.parametrize("threat", SETS)
@pytest.mark.parametrize("spec", LOCAL)
def test_a_penalty_is_one_number_per_example_in_every_set(tmp_path, spec, threat):
    shape = (1, 4, 4) if "wasserstein" in threat else (6,)
    model = network(shape=shape).train()
    value = penalty(tmp_path, spec, model, examples(shape=shape), threat)
    assert value.shape == (8,)
    assert (value >= 0).all()
    assert (value > 0).any()
    value.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in (model[1].weight, model[4].weight))


@pytest.mark.parametrize("spec", LOCAL)
def test_batch_mates_and_their_order_change_nothing(tmp_path, spec):
    batch, rows = examples(), torch.tensor([5, 2, 7])
    whole = penalty(tmp_path, spec, batch=batch)
    torch.testing.assert_close(whole[rows], penalty(tmp_path, spec, batch=batch.select(rows)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spec", LOCAL)
def test_random_points_belong_to_the_seed_the_epoch_and_the_example(tmp_path, spec):
    first = penalty(tmp_path, spec)
    assert torch.equal(first, penalty(tmp_path, spec))
    if spec != "cure()":
        assert (first != penalty(tmp_path, spec, epoch=1)).all()
        assert (first != penalty(tmp_path, spec.replace("(", "(seed=1"))).all()


@pytest.mark.parametrize("spec", LOCAL)
def test_labels_that_are_certain_are_those_of_the_classes(tmp_path, spec):
    batch = examples()
    soft = attrs.evolve(batch, targets=F.one_hot(batch.labels, 3).double())
    hard = penalty(tmp_path, spec, batch=batch)
    torch.testing.assert_close(hard, penalty(tmp_path, spec, batch=soft), rtol=1e-6, atol=1e-18)
    mixed = penalty(tmp_path, spec, batch=examples(mixed=True))
    assert not torch.isclose(mixed, hard, rtol=1e-3, atol=0).any()


@pytest.mark.parametrize("spec", LOCAL)
def test_nothing_is_asked_of_a_set_of_one_point(tmp_path, spec):
    torch.testing.assert_close(penalty(tmp_path, spec, threat="linf(eps=0)"), torch.zeros(8, dtype=torch.float64))


class Straight(nn.Module):
    """Two logits whose difference is so large, and negative for the label, that the cross-entropy is linear in the input."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.linspace(1.0, 2.0, 6, dtype=torch.float64))

    def forward(self, x):
        score = 100 + x.flatten(1) @ self.slope
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize("spec", LOCAL)
def test_a_loss_that_is_linear_in_the_input_costs_nothing(tmp_path, spec):
    batch = attrs.evolve(examples(), labels=torch.zeros(8, dtype=torch.int64))
    model = Straight()
    value = penalty(tmp_path, spec, model, batch)
    torch.testing.assert_close(value, torch.zeros(8, dtype=torch.float64), rtol=0, atol=1e-20)
    # the weights do matter where the loss bends
    assert (penalty(tmp_path, spec, network().train(), batch) > 1e-12).all()


class Bent(nn.Module):
    """The cross-entropy of class 0 is 100 + slope · x + curve · x² (to 1e-40), of one input x."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.curve = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

    def forward(self, x):
        score = 100 + (self.slope * x + self.curve * x.square()).sum(1)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def bent_case(spec):
    """The penalty of a parabola, and the points it was asked at, in closed form."""
    batch = inradius.Dataset.of(torch.full((5, 1), 0.5, dtype=torch.float64), torch.zeros(5, dtype=torch.int64))
    threat, x = inradius.make(BOX), batch.inputs
    rng = streams(batch, spec.split("(")[0])
    a, b = (x + threat.sample(x, rng=rng.fork(branch)) for branch in range(2))
    share = rng.fork(2).uniform()
    return batch, (a, b, share)


def test_llr_of_a_parabola_is_the_square_of_its_bend(tmp_path):
    batch, (a, b, _) = bent_case("llr()")
    expected = (3 * (b - a).square()).square().squeeze(1)
    torch.testing.assert_close(penalty(tmp_path, "llr()", Bent(), batch), expected, rtol=1e-6, atol=1e-16)


def test_elle_of_a_parabola_is_the_square_of_its_bend(tmp_path):
    batch, (a, b, share) = bent_case("elle()")
    expected = (3 * share * (1 - share) * (b - a).square().squeeze(1)).square()
    torch.testing.assert_close(penalty(tmp_path, "elle()", Bent(), batch), expected, rtol=1e-6, atol=1e-16)
    assert not torch.isclose(a, b).any()
    assert len(set(share.tolist())) == 5


@pytest.mark.parametrize("reach", [1.0, 0.5, 0.0])
def test_cure_of_a_parabola_is_the_square_of_twice_its_bend(tmp_path, reach):
    batch, _ = bent_case("cure()")
    value = penalty(tmp_path, f"cure(reach={reach})", Bent(), batch)
    torch.testing.assert_close(value, torch.full((5,), (2 * 3 * 0.1 * reach) ** 2, dtype=torch.float64))


def test_grad_align_is_the_angle_between_gradients(tmp_path):
    model, batch, threat = network().train(), examples(), inradius.make(BOX)
    value = penalty(tmp_path, "grad_align()", model, batch)
    near = batch.inputs + threat.sample(batch.inputs, rng=streams(batch, "grad_align"))
    model.eval()
    gradients = []
    for point in (batch.inputs, near):
        point = point.clone().requires_grad_()
        F.cross_entropy(model(point), batch.labels, reduction="sum").backward()
        gradients.append(point.grad)
    torch.testing.assert_close(value, 1 - F.cosine_similarity(*gradients), rtol=1e-7, atol=1e-12)


def test_a_gradient_of_zero_counts_zero_and_breaks_nothing():
    a = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1e-200, 0.0], [3.0, 4.0]], dtype=torch.float64)
    b = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2e-250], [-6.0, -8.0]], dtype=torch.float64, requires_grad=True)
    value = misalignment(a, b)
    torch.testing.assert_close(value, torch.tensor([0.0, 0.0, 1.0, 2.0], dtype=torch.float64))
    value.sum().backward()
    assert torch.isfinite(b.grad).all()
    assert (b.grad[:2] == 0).all()


def test_gradients_keep_their_direction_where_the_model_is_sure(tmp_path):
    model, batch = network(classes=3).float(), examples()
    single = attrs.evolve(batch, inputs=batch.inputs.float())
    model[-1].weight.data *= 200
    right = attrs.evolve(single, labels=model.eval()(single.inputs).argmax(1))
    logits = model(right.inputs)
    assert (logits.softmax(1).amax(1) == 1).all()
    assert (penalty(tmp_path, "grad_align()", model, right) > 0).all()


def pieces(spec, model, batch, threat):
    """The penalty as a function of the weights, with all that no gradient flows through as it is now."""
    name, x = spec.split("(")[0], batch.inputs
    rng = streams(batch, name)
    names = [name for name, _ in model.named_parameters()]

    def at(values):
        net = copy.deepcopy(model)
        state = dict(zip(names, values, strict=True))
        return lambda points: functional_call(net, state, (points,))

    if name == "grad_align":
        _, fixed = slopes_at(model, x, batch, differentiable=False)
        near = x + threat.sample(x, rng=rng)
        return lambda *v: misalignment(fixed, slopes_at(at(v), near, batch, differentiable=True)[1]).sum()
    if name == "cure":
        _, here = slopes_at(model, x, batch, differentiable=False)
        point = x + threat.linear_max(here, x)

        def curved(*v):
            a, b = (slopes_at(at(v), p, batch, differentiable=True)[1] for p in (x, point))
            return (a - b).square().sum()

        return curved
    a, b = (x + threat.sample(x, rng=rng.fork(branch)) for branch in range(2))
    share = rng.fork(2).uniform()
    if name == "llr":

        def tangent(*v):
            start, slopes = slopes_at(at(v), a, batch, differentiable=True)
            return (losses_at(at(v), b, batch) - start - ((b - a) * slopes).sum(1)).square().sum()

        return tangent

    def between(*v):
        at_a, at_b, at_c = (losses_at(at(v), p, batch) for p in (a, b, a + expand(share, x) * (b - a)))
        return (at_c - (1 - share) * at_a - share * at_b).square().sum()

    return between


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("spec", LOCAL)
def test_gradients_are_those_of_finite_differences(tmp_path, spec, mixed):
    model, batch, threat = network().eval(), examples(4, mixed=mixed), inradius.make(BOX)
    value = penalty(tmp_path, spec, model, batch).sum()
    ours = torch.autograd.grad(value, list(model.parameters()), materialize_grads=True)
    function, start = pieces(spec, model, batch, threat), [p.detach().clone() for p in model.parameters()]
    torch.testing.assert_close(function(*start), value, rtol=1e-10, atol=1e-14)
    generator, step = torch.Generator().manual_seed(3), 1e-5
    for _ in range(3):
        way = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in start]
        up, down = (function(*[p + s * step * w for p, w in zip(start, way, strict=True)]) for s in (1, -1))
        slope = sum((g * w).sum() for g, w in zip(ours, way, strict=True))
        torch.testing.assert_close(slope, (up - down) / (2 * step), rtol=1e-5, atol=1e-9)


def test_only_the_second_gradient_of_grad_align_is_differentiated(tmp_path):
    model, batch, threat = network().eval(), examples(4), inradius.make(BOX)
    ours = torch.autograd.grad(penalty(tmp_path, "grad_align()", model, batch).sum(), model[1].weight)[0]
    near = batch.inputs + threat.sample(batch.inputs, rng=streams(batch, "grad_align"))
    here, there = (slopes_at(model, p, batch, differentiable=True)[1] for p in (batch.inputs, near))
    both = torch.autograd.grad(misalignment(here, there).sum(), model[1].weight, retain_graph=True)[0]
    first = torch.autograd.grad(misalignment(there.detach(), here).sum(), model[1].weight)[0]
    torch.testing.assert_close(ours + first, both)
    assert not torch.allclose(ours, both)


@pytest.mark.parametrize("spec", LOCAL)
def test_statistics_of_a_batch_are_kept_only_where_asked(tmp_path, spec):
    def after(mode):
        model = network(norm=True).train()
        penalty(tmp_path, spec.replace("(", f"(bn_mode='{mode}'"), model).sum().backward()
        assert all(module.training for module in model.modules())
        return model[2], model

    for mode in ("train_notrack", "eval"):
        norm, model = after(mode)
        assert int(norm.num_batches_tracked) == 0
        assert (norm.running_mean == 0).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert int(after("train")[0].num_batches_tracked) > 0


@pytest.mark.parametrize("spec", LOCAL)
def test_by_default_batch_norm_does_as_the_training_does(tmp_path, spec):
    assert "bn_mode='train_notrack'" in inradius.make(spec, Regularizer).spec(full=True)
    values = [
        penalty(tmp_path, spec.replace("(", f"({mode}"), network(norm=True).train())
        for mode in ("", "bn_mode='train'", "bn_mode='eval'")
    ]
    torch.testing.assert_close(values[0], values[1])
    assert not torch.isclose(values[0], values[2]).any()


@pytest.mark.parametrize("spec", LOCAL)
def test_what_is_looked_at_is_in_full_precision(tmp_path, spec):
    model, batch = network().float().train(), examples()
    batch = attrs.evolve(batch, inputs=batch.inputs.float())
    plain = penalty(tmp_path, spec, model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(penalty(tmp_path, spec, model, batch), plain)


class Mixture(nn.Module):
    """A layer of each kind: those that count have weights 2, the others 5."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict(
            {
                # names say nothing
                "bn": nn.Linear(2, 3),
                "bias": nn.Conv2d(1, 2, 2),
                "scale": nn.BatchNorm2d(2),
                "layer": nn.LayerNorm((2, 2)),
                "group": nn.GroupNorm(1, 2),
                "attention": nn.MultiheadAttention(2, 1, add_bias_kv=True),
                "slope": nn.PReLU(),
            }
        )
        self.again = self.body["bn"]
        for parameter in self.parameters():
            nn.init.constant_(parameter, 5.0)
        self.counted = [
            self.body["bn"].weight, self.body["bias"].weight,
            self.body["attention"].in_proj_weight, self.body["attention"].out_proj.weight,
        ]  # fmt: skip
        for weight in self.counted:
            nn.init.constant_(weight, 2.0)


def test_penalties_of_weights_know_layers_by_their_class(tmp_path):
    model = Mixture().double()
    size = 6 + 8 + 12 + 4
    assert {id(weight) for weight in weights(model)} == {id(weight) for weight in model.counted}
    assert penalty(tmp_path, "l1_penalty()", model).item() == 2 * size
    assert penalty(tmp_path, "l2_penalty()", model).item() == 2 * size
    model.body["bn"].weight.requires_grad_(False)
    assert penalty(tmp_path, "l1_penalty()", model).item() == 2 * (size - 6)


def test_a_network_without_weights_has_no_penalty(tmp_path):
    model = nn.Sequential(nn.LayerNorm(6)).double()
    assert [penalty(tmp_path, spec, model).item() for spec in WHOLE] == [0.0, 0.0]


def test_the_square_penalty_is_weight_decay_of_the_weights_alone(tmp_path):
    model = Mixture().double()
    penalty(tmp_path, "l2_penalty()", model).backward()
    for parameter in model.parameters():
        if any(parameter is weight for weight in model.counted):
            assert torch.equal(parameter.grad, parameter.detach())
        else:
            assert parameter.grad is None


def fit(folder, *regularizers, defense="adversarial(attack=fgsm())", epochs=3, model=None, **options):
    batch = examples(24)
    model = model or network().float()
    data = attrs.evolve(batch, inputs=batch.inputs.float())
    settings = {"batch_size": 8, "validation": 0, "lr": 0.01, "device": "cpu", "schedule": "constant"} | options
    return inradius.train(
        defense, model, data, BOX, folder=folder, epochs=epochs, regularizers=regularizers, **settings
    )


def total_penalty(folder, spec, model):
    # away from the points of training: another seed
    batch = attrs.evolve(examples(24), inputs=examples(24).inputs.float())
    local = spec if spec in WHOLE else spec.replace("(", "(seed=7")
    return penalty(folder, local, model, batch).detach().mean().item()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Trained without a regularizer."""
    return fit(tmp_path_factory.mktemp("plain"), epochs=6, model=network(smooth=False).float(), lr=0.03)


WEIGHTS = {
    "grad_align()": 2.0,
    "llr()": 1e5,
    "cure()": 20.0,
    "elle()": 1e6,
    "l1_penalty()": 0.05,
    "l2_penalty()": 0.5,
}


@pytest.mark.parametrize(("spec", "weight"), WEIGHTS.items())
def test_training_with_a_penalty_lowers_it_and_without_its_term_does_not(tmp_path, plain, spec, weight):
    def trained(weight):
        weighted = f"{spec[:-1]}weight={weight})"
        return fit(tmp_path / f"{weight}", weighted, epochs=6, model=network(smooth=False).float(), lr=0.03)

    zeroed = trained(0.0)
    assert all(torch.equal(a, b) for a, b in zip(zeroed.parameters(), plain.parameters(), strict=True))
    assert total_penalty(tmp_path, spec, trained(weight)) < 0.75 * total_penalty(tmp_path, spec, zeroed)


class Stop(BaseException):
    pass


@attrs.frozen(kw_only=True)
class Watched(Schedule):
    """Another schedule that stops the run in the middle, and notes the weights."""

    name = "watched"
    inner: Schedule
    stop: float = 1.0

    def __call__(self, progress):
        return self.inner(progress)

    def weigh(self, value, progress, memory):
        if progress >= self.stop:
            raise Stop
        return self.inner.weigh(value, progress, memory)


def test_elle_a_resumes_to_the_bit(tmp_path, register):
    register(schedules=[Watched])
    adaptive = "elle(weight=watched(inner=elle_a(top=50.0, sensitivity=0.0), stop={}))"
    whole = fit(tmp_path / "whole", adaptive.format(1.0), epochs=4)

    def interrupted(stop):
        regularizer = inradius.make(adaptive.format(stop), Regularizer)
        return fit(tmp_path / "part", regularizer, epochs=4)

    # equal specs, so that the second run is the first one going on
    specs = Watched.spec
    try:
        Watched.spec = lambda self, full=False: "watched()"
        with pytest.raises(Stop):
            interrupted(0.6)
        resumed = interrupted(1.0)
    finally:
        Watched.spec = specs
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    constant = fit(tmp_path / "none", "elle(weight=0.0)", epochs=4)
    assert not all(torch.equal(a, b) for a, b in zip(whole.parameters(), constant.parameters(), strict=True))


def test_elle_a_answers_to_jumps_and_fades():
    generator = np.random.default_rng(0)
    errors = np.abs(generator.normal(size=200)) * np.where(np.arange(200) % 37 == 36, 20, 1)
    schedule, memory = inradius.make("elle_a(top=100.0, decay=0.9)", Schedule), {}
    given = [schedule.weigh(float(error), 0.0, memory) for error in errors]
    expected, weight = [], 0.0
    for step, error in enumerate(errors):
        past = errors[:step]
        jumped = step >= 3 and error > past.mean() + 2 * past.std()
        weight = 100.0 if jumped else 0.9 * weight
        expected.append(weight)
    assert given == pytest.approx(expected)
    assert given[0] == 0.0
    assert 0 < expected.count(100.0) < 100


@attrs.frozen(kw_only=True)
class Twice(inradius.Defense):
    """The cross-entropy under two perturbations, which are both nothing."""

    name = "twice"

    def loss(self, model, batch, threat, run):
        return F.cross_entropy(model(batch.inputs), batch.labels, reduction="none").expand(2, -1)


@pytest.mark.parametrize("spec", ["elle(weight=1e4)", "l2_penalty()"])
def test_each_of_several_perturbations_bears_the_whole_penalty(tmp_path, spec):
    trained = [fit(tmp_path / str(number), spec, defense=one) for number, one in enumerate(("standard()", Twice()))]
    for once, twice in zip(*(model.parameters() for model in trained), strict=True):
        torch.testing.assert_close(once, twice)


def test_elle_a_is_no_schedule_of_time(tmp_path):
    with pytest.raises(inradius.UnsupportedError, match="reacts to a penalty and is not a function of time"):
        fit(tmp_path, schedule="elle_a()")


def test_the_weight_is_logged_beside_the_penalty(tmp_path):
    model = network().train()
    run = engine(tmp_path, model)
    regularizer = inradius.make("elle(weight=elle_a())", Regularizer)
    value = regularizer(model, AttackedBatch(examples()), inradius.make(BOX), run)
    assert torch.equal(value, torch.zeros(8, dtype=torch.float64))
    assert run.memory(regularizer)["known"] == 1


@pytest.mark.parametrize("spec", [*LOCAL, *WHOLE, "elle(weight=elle_a(top=10.0))", "cure(weight=ramp(stop=3.0))"])
def test_specs_name_every_value(spec):
    made = inradius.make(spec, Regularizer)
    assert inradius.make(made.spec(full=True), Regularizer) == made
    assert inradius.make(made.spec(), Regularizer) == made


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grad_align(weight=-1)", r"weight=-1.0 is not a radius; allowed is a finite number ≥ 0"),
        ("llr(bn_mode='maybe')", r"'bn_mode' must be in"),
        ("cure(reach=2)", r"reach=2.0 is not allowed; allowed is a number between 0 and 1"),
        ("elle(seed=-1)", r"seed=-1 is not allowed; allowed is an integer ≥ 0"),
        ("elle(weight=elle_a(top=0))", r"top=0.0 is not allowed; allowed is a finite number > 0"),
        ("elle(weight=elle_a(decay=2))", r"decay=2.0 is not allowed; allowed is a number between 0 and 1"),
        ("l1_penalty(weight='much')", r"weight='much' is not a radius"),
    ],
)
def test_bad_parameters_are_refused_in_a_sentence(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec, Regularizer)
