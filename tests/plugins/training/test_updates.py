"""Updates: where they take their gradients, what they leave, and what they put back."""

import copy
from itertools import pairwise

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import inradius
from inradius.processes import Processes
from inradius.training.recipe import Recipe
from inradius.training.run import Run
from inradius.training.slots import Monitor, RollBack, Schedule, Stop, Update
from inradius_training.regularizers.weights import weights
from inradius_training.updates.shifted_weights import ascent, shifted

BOX = "linf(eps=0.1)"
UPDATES = ["awp()", "sam()", "sampa()"]
NOTHING = ["awp(gamma=0.0)", "sam(rho=0.0)"]


def network(*, norm=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(6, 16), *([nn.BatchNorm1d(16)] if norm else []), nn.Softplus(4.0), nn.Linear(16, 3)]
        return nn.Sequential(*layers).double()


def examples(count=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 6, generator=generator, dtype=torch.float64)
    return inradius.Dataset.of(inputs, torch.arange(count) % 3, name="random")


@attrs.frozen(kw_only=True)
class Notebook(inradius.Defense):
    """The cross-entropy, with a note of the weights and the batch that it was asked for; it fails when told to."""

    name = "notebook"
    notes: list = attrs.field(factory=list)
    fail_at: int = -1

    def loss(self, model, batch, threat, run):
        self.notes.append(({name: value.clone() for name, value in model.state_dict().items()}, batch))
        if len(self.notes) - 1 == self.fail_at:
            raise RuntimeError("told to fail")
        return F.cross_entropy(run.look(batch).clean(model), batch.labels, reduction="none")


def engine(folder, model, defense=None, *, momentum=0.9, decay=0.0, optimizer="sgd", lr=0.1, **recipe):
    still = inradius.make("constant()", Schedule)
    run = Run.open(
        folder,
        model=model.train(),
        defense=defense or Notebook(),
        recipe=Recipe(epochs=4, optimizer=optimizer, lr=lr, weight_decay=decay, schedule=still, **recipe),
        held_out=examples(),
        processes=Processes(None, torch.device("cpu")),
    )
    if optimizer == "sgd":
        run.optimizer.param_groups[0]["momentum"] = momentum
    return run


def step(run, update, batch, ahead=None, threat=BOX):
    inradius.make(update, Update)(run.step(run.model, batch, inradius.make(threat), ahead))


def gradient(model, batch):
    """The gradient of the mean loss, by autograd alone, with the weights' names."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    loss = F.cross_entropy(model(batch.inputs), batch.labels)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def at(values):
    """A network with these weights."""
    model = network(norm="1.running_mean" in values)
    model.load_state_dict(values)
    return model.train()


def distance(notes, first=0, second=1):
    return {name: notes[second][0][name] - value for name, value in notes[first][0].items()}


def test_awp_perturbs_each_layer_by_a_share_of_its_length(tmp_path):
    model, batch, defense = network(), examples(), Notebook()
    before = copy.deepcopy(model)
    step(engine(tmp_path, model, defense), "awp(gamma=0.02)", batch)
    moves, slopes = distance(defense.notes), gradient(before, batch)
    for name in ("0.weight", "3.weight"):
        weight = defense.notes[0][0][name]
        assert moves[name].norm() == pytest.approx(0.02 * weight.norm().item(), rel=1e-9)
        assert F.cosine_similarity(moves[name].flatten(), slopes[name].flatten(), dim=0) == pytest.approx(1)
    assert all((moves[name] == 0).all() for name in ("0.bias", "1.weight", "1.bias", "3.bias"))


def test_sam_perturbs_all_weights_as_one_vector(tmp_path):
    model, batch, defense = network(), examples(), Notebook()
    before = copy.deepcopy(model)
    step(engine(tmp_path, model, defense), "sam(rho=0.3)", batch)
    moves, slopes = distance(defense.notes), gradient(before, batch)
    whole = torch.cat([slope.flatten() for slope in slopes.values()]).norm()
    for name, slope in slopes.items():
        torch.testing.assert_close(moves[name], 0.3 * slope / whole)


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("update", ["awp(gamma=0.05)", "sam(rho=0.5)"])
def test_the_step_goes_from_the_weights_along_the_gradient_elsewhere(tmp_path, update, decay):
    model, batch, defense = network(), examples(), Notebook()
    before = copy.deepcopy(model)
    step(engine(tmp_path, model, defense, momentum=0.0, decay=decay), update, batch)
    slopes, plain = gradient(at(defense.notes[1][0]), batch), gradient(before, batch)
    for (name, now), was in zip(model.named_parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(now.detach(), (1 - 0.1 * decay) * was.detach() - 0.1 * slopes[name])
        assert name == "0.bias" or not torch.allclose(slopes[name], plain[name], rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("update", NOTHING)
def test_without_its_perturbation_an_update_is_the_plain_one(tmp_path, update, optimizer):
    def three(spec, folder):
        model = network()
        run = engine(tmp_path / folder, model, optimizer=optimizer)
        for seed in range(3):
            step(run, spec, examples(seed=seed))
        return weights(model)

    plain = three("plain()", "a")
    assert all(torch.equal(a, b) for a, b in zip(three(update, "b"), plain, strict=True))
    perturbed = three(update.split("(")[0] + "()", "c")
    assert not any(torch.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(perturbed, plain, strict=True))


def test_awp_warms_up(tmp_path):
    defense = Notebook()
    run = engine(tmp_path, network(), defense)
    for progress, passes in ((0.0, 1), (0.49, 1), (0.5, 2), (0.9, 2)):
        defense.notes.clear()
        run.progress = progress
        step(run, "awp(warmup=0.5)", examples())
        assert len(defense.notes) == passes


@pytest.mark.parametrize(("update", "kept"), [("awp()", 1), ("sam()", 0), ("sampa()", 0)])
def test_batch_norm_keeps_the_statistics_of_one_pass(tmp_path, update, kept):
    model, batch, defense = network(), examples(), Notebook()
    run = engine(tmp_path, model, defense)
    step(run, update, batch, examples(seed=5))
    if update == "sampa()":
        # the first step takes one gradient more, at y_0
        first, ahead = at(defense.notes[0][0]), defense.notes[2]
        first(batch.inputs)
        counted = at(ahead[0] | {"1.running_mean": first[1].running_mean, "1.running_var": first[1].running_var})
        counted(ahead[1].inputs)
        assert int(model[1].num_batches_tracked) == 2
    else:
        counted = at(defense.notes[kept][0] | {"1.running_mean": torch.zeros(16), "1.running_var": torch.ones(16)})
        counted(batch.inputs)
        assert int(model[1].num_batches_tracked) == 1
    torch.testing.assert_close(model[1].running_mean, counted[1].running_mean)
    torch.testing.assert_close(model[1].running_var, counted[1].running_var)


@pytest.mark.parametrize(("update", "failures"), [("awp()", (0, 1)), ("sam()", (0, 1)), ("sampa()", (0, 1, 2))])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_are_put_back_where_a_gradient_raises(tmp_path, update, failures, optimizer):
    for fail_at in failures:
        model = network()
        before = copy.deepcopy(model.state_dict())
        run = engine(tmp_path / str(fail_at), model, Notebook(fail_at=fail_at), optimizer=optimizer)
        with pytest.raises(RuntimeError, match="told to fail"):
            step(run, update, examples(), examples(seed=5))
        for name, value in model.named_parameters():
            assert torch.equal(value, before[name])
        assert not run.optimizer.state
        if fail_at == 1 and update == "awp()":
            assert torch.equal(model[1].running_mean, before["1.running_mean"])


def test_a_layer_without_a_gradient_stays(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    for update in UPDATES:
        run = engine(tmp_path / update, model, decay=0.1)
        for seed in range(2):
            step(run, update, examples(seed=seed), examples(seed=seed + 1))
        assert torch.equal(model[0].weight, before["0.weight"])
        assert not torch.equal(model[3].weight, before["3.weight"])


def test_a_gradient_of_zero_moves_nothing():
    parameter = nn.Parameter(torch.ones(3))
    assert ascent([torch.zeros(3), None], 2.0)[0].tolist() == [0.0, 0.0, 0.0]
    assert ascent([None], 2.0) == [None]
    with shifted([parameter], [torch.full((3,), 0.1)]):
        assert parameter.tolist() != [1.0, 1.0, 1.0]
    assert parameter.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("update", ["awp", "sam", "sampa"])
def test_inputs_are_attacked_once_unless_asked(tmp_path, update, monkeypatch):
    found = []

    def counting(*arguments, **options):
        found.append(inradius.training.run.search.__wrapped__(*arguments, **options))
        return found[-1]

    counting.__wrapped__ = inradius.training.run.search
    monkeypatch.setattr("inradius.training.run.search", counting)
    defense = inradius.make("adversarial(attack=fgsm())", inradius.Defense)
    for spec, attacks in ((f"{update}()", 1), (f"{update}(reattack=True)", 2)):
        found.clear()
        run, batch, ahead = engine(tmp_path / spec, network(), defense), examples(), examples(seed=5)
        run.tape.begin(batch, ahead)
        step(run, spec, batch, ahead)
        # the batch ahead is attacked as well
        assert len(found) == attacks + (update == "sampa")


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def slope(weights_now, batch):
    model = network(norm=False)
    nn.utils.vector_to_parameters(weights_now, model.parameters())
    return torch.cat([g.flatten() for g in gradient(model, batch).values()])


def test_sampa_follows_its_formula(tmp_path):
    model, batches = network(norm=False), [examples(seed=seed) for seed in range(5)]
    run = engine(tmp_path, model, momentum=0.0)
    x = flat(model)
    g, rate, lam, rho = slope(x, batches[0]), 0.1, 0.3, 0.2
    for batch, ahead in zip(batches, [*batches[1:], None], strict=True):
        step(run, f"sampa(lam={lam}, rho={rho})", batch, ahead)
        uphill, y = x + rho * g / g.norm(), x - rate * g
        fresh = slope(y, batch if ahead is None else ahead)
        x = x - rate * ((1 - lam) * slope(uphill, batch) + lam * fresh)
        g = fresh
        torch.testing.assert_close(flat(model), x, rtol=1e-10, atol=1e-12)


def test_sampa_steps_its_second_sequence_as_the_optimiser_does(tmp_path):
    model, batches, defense = network(norm=False), [examples(seed=seed) for seed in range(4)], Notebook()
    run = engine(tmp_path, model, defense, optimizer="adamw", lr=0.01, decay=0.1)
    twin = None
    for batch, ahead in pairwise(batches):
        update = inradius.make("sampa()", Update)
        if "gradients" in run.memory(update):
            twin = copy.deepcopy((model, run.optimizer.state_dict(), run.memory(update)["gradients"]))
        step(run, "sampa()", batch, ahead)
    trial, state, known = twin
    optimizer = torch.optim.AdamW(trial.parameters(), lr=0.01, weight_decay=0.1)
    optimizer.load_state_dict(state)
    for parameter, g in zip(trial.parameters(), known, strict=True):
        parameter.grad = g
    optimizer.step()
    seen = defense.notes[-1][0]
    assert all(torch.equal(value, seen[name]) for name, value in trial.state_dict().items())


@pytest.mark.parametrize("batch_size", [12, 4])
def test_sampa_of_lam_one_and_rho_zero_is_optimistic_gradient_descent(tmp_path, batch_size):
    model, data = network(norm=False), examples()
    run = engine(
        tmp_path, model, momentum=0.0, batch_size=batch_size, update=inradius.make("sampa(lam=1, rho=0)", Update)
    )
    order, threat = [], inradius.make(BOX)
    start = flat(model)
    for _ in run.epochs():
        for batch in run.batches(data):
            order.append((batch, run.ahead))
            run.advance(model, batch, threat)
    x, g = start, slope(start, order[0][0])
    for batch, ahead in order:
        y = x - 0.1 * g
        g = slope(y, batch if ahead is None else ahead)
        x = x - 0.1 * g
    torch.testing.assert_close(flat(model), x, rtol=1e-12, atol=1e-14)
    assert len(order) == 4 * 12 // batch_size


def test_optimistic_descent_settles_where_plain_descent_turns_in_circles():
    # min over a, max over b of a · b, as a minimisation along (b, −a)
    def run(optimistic):
        x = torch.tensor([1.0, 1.0], dtype=torch.float64)
        g = torch.stack([x[1], -x[0]])
        for _ in range(400):
            y = x - 0.2 * g if optimistic else x
            g = torch.stack([y[1], -y[0]])
            x = x - 0.2 * g
        return x.norm().item()

    assert run(True) < 0.01
    assert run(False) > 100


def fit(folder, update, *, defense="adversarial(attack=fgsm())", epochs=4, model=None, **options):
    data = examples(30)
    data = attrs.evolve(data, inputs=data.inputs.float())
    settings = {"batch_size": 8, "validation": 0, "lr": 0.05, "device": "cpu", "optimizer": "sgd"} | options
    return inradius.train(
        defense, model or network().float(), data, BOX, folder=folder, epochs=epochs, update=update, **settings
    )


class Killed(BaseException):
    pass


@attrs.frozen(kw_only=True)
class Interrupted(inradius.Defense):
    """Adversarial training that is stopped at the beginning of an epoch."""

    name = "interrupted"
    at: int = attrs.field(default=-1, eq=False)

    def spec(self, *, full=False):
        return "interrupted()"

    def loss(self, model, batch, threat, run):
        if run.epoch == self.at:
            raise Killed
        return inradius.make("adversarial(attack=fgsm())", inradius.Defense).loss(model, batch, threat, run)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("update", UPDATES)
def test_a_stopped_run_goes_on_to_the_bit(tmp_path, update, optimizer):
    options = {"optimizer": optimizer, "weight_decay": 1e-3}
    whole = fit(tmp_path / "whole", update, defense=Interrupted(), **options)
    with pytest.raises(Killed):
        fit(tmp_path / "part", update, defense=Interrupted(at=2), **options)
    resumed = fit(tmp_path / "part", update, defense=Interrupted(), **options)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@attrs.frozen(kw_only=True)
class Ending(Monitor):
    """Ends a run of four after an epoch, or rolls the next one back and then ends it."""

    name = "ending"
    back: bool = False

    def after_epoch(self, model, threat, run):
        if run.epoch == int(self.back):
            return [RollBack("a test") if self.back else Stop("a test")]
        return []


def test_what_sampa_remembers_is_rolled_back(tmp_path, register):
    register(monitors=[Ending])
    for folder, spec in (("one", "ending()"), ("back", "ending(back=True)")):
        fit(tmp_path / folder, "sampa()", monitors=[spec])
    one, back = (torch.load(tmp_path / folder / "state.pt", weights_only=True) for folder in ("one", "back"))
    assert (one["epoch"], back["epoch"]) == (1, 2)
    (mine,), (other,) = one["memories"][0].values(), back["memories"][0].values()
    assert all(torch.equal(a, b) for a, b in zip(mine["gradients"], other["gradients"], strict=True))


@pytest.mark.parametrize("update", UPDATES)
def test_updates_train_with_regularizers_and_mixed_labels(tmp_path, update):
    options = {
        "regularizers": ["elle(weight=elle_a(top=1.0))", "l2_penalty(weight=1e-3)"],
        "clip": 1.0,
        "transforms": ["mixup()"],
    }
    model = fit(tmp_path, update, epochs=8, lr=0.1, **options)
    data = examples(30)
    plain = fit(tmp_path / "plain", "plain()", epochs=8, lr=0.1, **options)
    losses = [F.cross_entropy(m(data.inputs.float()), data.labels).item() for m in (model, plain)]
    assert losses[0] < 1.1
    assert losses[0] != losses[1]


def test_flatter_minima_are_found_where_they_are_asked_for(tmp_path):
    """By the rise of the loss when the weights move by γ ‖w‖ along the gradient, what AWP lowers."""

    def rise(model):
        data = examples(30)
        model = model.double().train()
        before = F.cross_entropy(model(data.inputs), data.labels)
        layers = weights(model)
        slopes = torch.autograd.grad(before, layers)
        with shifted(layers, [0.05 * w.detach().norm() * g / g.norm() for w, g in zip(layers, slopes, strict=True)]):
            return (F.cross_entropy(model(data.inputs), data.labels) - before).item()

    options = {"epochs": 30, "batch_size": 30, "lr": 0.5, "defense": "standard()"}
    awp, plain = (fit(tmp_path / update, update, **options) for update in ("awp(gamma=0.1)", "plain()"))
    assert rise(awp) < 0.8 * rise(plain)


@pytest.mark.parametrize("spec", ["awp(gamma=0.005, warmup=0.05)", "sam(rho=0.1, reattack=True)", "sampa(lam=0.5)"])
def test_specs_name_every_value(spec):
    made = inradius.make(spec, Update)
    assert inradius.make(made.spec(full=True), Update) == made
    assert inradius.make(made.spec(), Update) == made


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("awp(gamma=-1)", r"gamma=-1.0 is not a radius; allowed is a finite number ≥ 0"),
        ("awp(warmup=2)", r"warmup=2.0 is not allowed; allowed is a number between 0 and 1"),
        ("awp(reattack=1)", r"reattack=1 is not allowed; allowed are True and False"),
        ("sam(rho='much')", r"rho='much' is not a radius"),
        ("sampa(lam=1.5)", r"lam=1.5 is not allowed; allowed is a number between 0 and 1"),
    ],
)
def test_bad_parameters_are_refused_in_a_sentence(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec, Update)
