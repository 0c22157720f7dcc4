"""The laws of data sets, models and the parts of a training run catch what breaks just them."""

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius.testing import (
    check_dataset,
    check_direction,
    check_model,
    check_monitor,
    check_regularizer,
    check_update,
    datasets,
    direction_laws,
    laws,
    models,
    monitors,
    regularizers,
    small_runs,
    updates,
)
from inradius.testing.components import spec_round_trip
from inradius.training.slots import Direction, Monitor, Regularizer, Update

# a part that changes from run to run, as one that reads a clock does
TICKS = iter(range(1, 10**6))


def caught(law, check):
    # a run looks at its weights too, and may be the first to complain
    with pytest.raises((AssertionError, inradius.InputError)) as found:
        check()
    assert law.__name__ in found.value.__notes__[0]


def broken(base, **overrides):
    return type(f"Broken{base.__name__}", (base,), overrides)


@attrs.frozen(kw_only=True)
class Size(Regularizer):
    """The squared logits."""

    def penalty(self, model, views, threat, run):
        return views.clean(model).square().sum(1)


@attrs.frozen(kw_only=True)
class Mean(Direction):
    """The gradient of the mean loss."""

    def __call__(self, losses, parameters, run):
        losses.mean(0).sum().backward()
        run.processes.sum_gradients(parameters)


@attrs.frozen(kw_only=True)
class Step(Update):
    """The optimiser's step, at a gradient a little ahead."""

    def __call__(self, descent):
        descent.gradient()
        kept = [p.detach().clone() for p in descent.parameters]
        try:
            with torch.no_grad():
                for p in descent.parameters:
                    p.sub_(p.grad, alpha=0.01)
            descent.gradient()
        finally:
            with torch.no_grad():
                for p, value in zip(descent.parameters, kept, strict=True):
                    p.copy_(value)
        descent.step()


@attrs.frozen(kw_only=True)
class Watch(Monitor):
    """Counts the epochs."""

    def after_epoch(self, model, threat, run):
        memory = run.memory(self)
        memory["epochs"] = memory.get("epochs", 0) + 1
        run.log(watched=float(memory["epochs"]))
        return []


def moved(self, descent, by):
    descent.gradient()
    descent.step()
    with torch.no_grad():
        for p in descent.parameters:
            p.add_(by)


def left(self, descent):
    descent.gradient()
    with torch.no_grad():
        for p in descent.parameters:
            p.add_(0.1)
    descent.gradient()
    descent.step()


def forgetful(self, descent):
    # a count that is not kept in run.memory begins anew when the run is resumed
    COUNTS[descent.run] = COUNTS.get(descent.run, 0) + 1
    moved(self, descent, 0.01 * COUNTS[descent.run])


COUNTS = {}
RUNS = {
    small_runs.the_run_ends_with_finite_weights: lambda self, descent: moved(
        self, descent, torch.inf if descent.run.progress > 0.6 else 0.0
    ),
    small_runs.equal_runs_end_with_equal_weights: lambda self, descent: moved(self, descent, 1e-3 * next(TICKS)),
    small_runs.a_resumed_run_ends_as_a_whole_one: forgetful,
}
UPDATES = {spec_round_trip: Step.__call__, updates.weights_are_put_back: left} | RUNS


def test_the_parts_themselves_are_right():
    for check, part in (
        (check_regularizer, Size()),
        (check_direction, Mean()),
        (check_update, Step()),
        (check_monitor, Watch()),
    ):
        check(part, examples=1, without=[spec_round_trip])


@pytest.mark.parametrize("law", laws(Update))
def test_an_update_that_breaks_a_law_is_caught(law):
    caught(law, lambda: check_update(broken(Step, __call__=UPDATES[law])(), only=[law]))


def shaped(self, model, views, threat, run):
    return views.clean(model)


def meddling(self, model, views, threat, run):
    with torch.no_grad():
        next(iter(model.parameters())).mul_(1.01)
    return Size.penalty(self, model, views, threat, run)


@pytest.mark.parametrize(
    ("law", "penalty"),
    [
        (regularizers.penalties_are_finite, shaped),
        (regularizers.penalties_are_finite, lambda *args: torch.tensor(torch.nan)),
        (regularizers.without_weight_it_changes_nothing, meddling),
    ],
)
def test_a_regularizer_that_breaks_a_law_is_caught(law, penalty):
    caught(law, lambda: check_regularizer(broken(Size, penalty=penalty)(), only=[law]))


def test_a_direction_that_breaks_a_law_is_caught():
    def partial(self, losses, parameters, run):
        Mean.__call__(self, losses, parameters[:1], run)
        parameters[-1].grad = None

    law = direction_laws.every_weight_has_a_gradient
    caught(law, lambda: check_direction(broken(Mean, __call__=partial)(), only=[law]))


def wanders(self, model, threat, run):
    with torch.no_grad():
        next(iter(model.parameters())).mul_(1.01)
    return []


@pytest.mark.parametrize(
    ("law", "after_epoch"),
    [
        (monitors.actions_are_actions, lambda self, model, threat, run: ["stop"]),
        (monitors.actions_are_actions, lambda self, model, threat, run: None),
        (monitors.actions_are_actions, lambda self, model, threat, run: (model.train(not model.training), [])[1]),
        (monitors.watching_changes_nothing, wanders),
    ],
)
def test_a_monitor_that_breaks_a_law_is_caught(law, after_epoch):
    caught(law, lambda: check_monitor(broken(Watch, after_epoch=after_epoch)(), only=[law]))


def data_of(inputs=None, labels=None, numbers=None):
    made = inradius.Dataset.of(torch.rand(6, 2) if inputs is None else inputs, torch.arange(6) % 2)
    made = attrs.evolve(made, labels=made.labels if labels is None else labels)
    return attrs.evolve(made, index=made.index if numbers is None else numbers)


class Backwards(inradius.Dataset):
    """Data whose batches begin with the last examples."""

    def batches(self, size):
        yield self.select(torch.arange(len(self)).flip(0)[:size])


DATA = {
    datasets.inputs_are_valid: lambda: data_of(inputs=torch.full((6, 2), 1.5)),
    datasets.every_example_has_a_label_and_a_number: lambda: data_of(numbers=torch.zeros(6, dtype=torch.int64)),
    datasets.equal_specs_load_equal_data: lambda: data_of(inputs=torch.full((6, 2), 1 / next(TICKS))),
    datasets.batches_hold_the_examples_in_order: lambda: Backwards(**attrs.asdict(data_of(), recurse=False)),
}


@pytest.mark.parametrize("law", laws(inradius.Dataset))
def test_data_that_break_a_law_are_caught(register, law):
    register(datasets={"toy_data": DATA[law]})
    caught(law, lambda: check_dataset("toy_data", only=[law]))


def shifted():
    """A network with a number that its state dict does not hold."""
    by = next(TICKS)
    return Net(lambda z: z + by)


class Net(nn.Module):
    """A network that computes what it is told."""

    def __init__(self, forward, width=3):
        super().__init__()
        self.told, self.layer = forward, nn.Linear(2, width)

    def forward(self, x):
        return self.told(self.layer(x))


MODELS = {
    models.outputs_are_finite: lambda: Net(lambda z: z / 0),
    models.equal_calls_give_equal_outputs: lambda: Net(lambda z: z + torch.rand_like(z)),
    models.batch_mates_change_nothing: lambda: Net(lambda z: z - z.mean(0)),
    models.equal_specs_build_equal_networks: lambda: Net(lambda z: z, width=next(TICKS)),
    models.the_state_dict_is_the_network: shifted,
}


@pytest.mark.parametrize("law", laws(nn.Module))
def test_a_model_that_breaks_a_law_is_caught(register, law):
    register(models={"toy_model": MODELS[law]})
    caught(law, lambda: check_model("toy_model", shape=(2,), only=[law]))
