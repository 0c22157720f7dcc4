"""Schedules: the laws of all, the values of the papers, and fractional epochs."""

import attrs
import pytest
import torch
from torch import nn

import inradius
from inradius.components import registry
from inradius.testing import check_schedule, laws, schedules
from inradius.testing.components import spec_round_trip
from inradius.training.losses import cross_entropy
from inradius.training.slots import Schedule

SPECS = [
    "constant()",
    "cosine()",
    "linear()",
    "linear(first=0.5, last=0.75, stop=0.1)",
    "steps()",
    "steps(at=(0.75, 0.9), factor=0.3)",
    "steps(at=())",
    "multiple()",
    "multiple(drops=1, stop=0)",
    "cyclic()",
    "cyclic(peak=0)",
    "cyclic(peak=1)",
    "ramp()",
    "ramp(start=2, stop=0.5, over=0)",
    "piecewise_linear()",
    "piecewise_linear(at=(0.5,), values=(2,))",
    "piecewise_linear(at=(0, 0.5, 0.5, 0.5), values=(0, 1, 2, 3))",
    "warmup()",
    "warmup(steps(), over=0)",
    "warmup(warmup(cyclic(), over=1), start=0.5)",
    "warmup(elle_a())",
]


@pytest.mark.parametrize("spec", SPECS)
def test_each_keeps_the_laws(spec):
    check_schedule(spec, examples=10)


def test_every_registered_schedule_keeps_the_laws():
    names = sorted(name for name, entry in registry.entries().items() if entry.kind is Schedule)
    assert len(names) >= 10
    for name in names:
        check_schedule(name, examples=5)


@attrs.frozen(kw_only=True)
class Flat(Schedule):
    """1."""

    def __call__(self, progress):
        return 1.0


COUNTER = iter(range(1000))
BROKEN = {
    spec_round_trip: {},  # nobody registered it
    schedules.factors_are_finite_and_not_negative: {"__call__": lambda self, t: 0.9 - t},
    schedules.equal_moments_have_equal_factors: {"__call__": lambda self, t: float(next(COUNTER))},
    schedules.weights_are_finite_and_not_negative: {"weigh": lambda self, value, t, memory: value - 1.0},
}


@pytest.mark.parametrize("law", laws(Schedule))
def test_a_schedule_that_breaks_a_law_is_caught(law):
    kind = attrs.frozen(kw_only=True)(type("Broken", (Flat,), BROKEN[law] | {"__annotations__": {}}))
    with pytest.raises(AssertionError) as caught:
        check_schedule(kind(), examples=20, only=[law])
    assert any(law.__name__ in note for note in caught.value.__notes__)


def values(spec, *moments):
    schedule = inradius.make(spec, Schedule)
    return [schedule(moment) for moment in moments]


@pytest.mark.parametrize(
    ("spec", "epochs", "rate", "wanted"),
    [
        # section 4.3.2 of the thesis, its five schedules; the rate that holds in an epoch, numbered from 0
        ("steps()", 200, 0.1, {0: 0.1, 99: 0.1, 100: 0.01, 149: 0.01, 150: 0.001, 200: 0.001}),
        ("multiple()", 500, 0.1, {0: 0.1, 49: 0.1, 50: 0.09, 100: 0.08, 399: 0.03, 449: 0.02, 450: 0.01, 500: 0.01}),
        ("linear(first=0.5, last=0.75, stop=0.1)", 200, 0.1, {0: 0.1, 100: 0.1, 125: 0.055, 150: 0.01, 200: 0.01}),
        ("cyclic()", 200, 0.2, {0: 0, 40: 0.1, 80: 0.2, 140: 0.1, 200: 0}),
        ("cosine()", 200, 0.1, {0: 0.1, 100: 0.05, 200: 0}),
        # its best end rate, Table 4.11
        ("steps(at=(0.5,), factor=0.06)", 200, 0.1, {99: 0.1, 100: 0.006, 199: 0.006}),
        # one cycle with its peak in the middle: DAWNBench settings for CIFAR-10, Table 4.2
        ("cyclic(peak=0.5)", 30, 0.2, {0: 0, 7.5: 0.1, 15: 0.2, 30: 0}),
        # training against unions, chapter 5
        ("piecewise_linear()", 50, 0.1, {0: 0, 10: 0.05, 20: 0.1, 30: 0.0525, 40: 0.005, 45: 0.0025, 50: 0}),
        (
            "piecewise_linear(at=(0, 0.35, 0.75, 1), values=(0, 1, 0.01, 0.001))",
            20,
            0.1,
            {0: 0, 3.5: 0.05, 7: 0.1, 11: 0.0505, 15: 0.001, 20: 0.0001},
        ),
        # TRADES
        ("steps(at=(0.75, 0.9))", 100, 0.1, {74.9: 0.1, 75: 0.01, 90: 0.001}),
        # five epochs of warm-up in front of the drops of a hundred
        ("warmup(steps(at=(0.75, 0.9)), over=0.05)", 100, 0.4, {0: 0, 2.5: 0.2, 5: 0.4, 75: 0.04, 90: 0.004}),
    ],
)
def test_the_rates_of_the_papers(spec, epochs, rate, wanted):
    found = values(spec, *(epoch / epochs for epoch in wanted))
    assert [rate * factor for factor in found] == pytest.approx(list(wanted.values()), abs=1e-12)


def test_drops_fall_where_they_should_whatever_the_number_of_epochs():
    for epochs in range(1, 120):
        drops = [values("multiple(drops=3, stop=0.4)", epoch / epochs)[0] for epoch in range(epochs + 1)]
        wanted = [1 - 0.2 * min(3, 4 * epoch // epochs) for epoch in range(epochs + 1)]
        assert drops == pytest.approx(wanted)


def test_a_line_may_jump():
    spec = "piecewise_linear(at=(0.2, 0.5, 0.5, 0.8), values=(1, 2, 5, 4))"
    assert values(spec, 0, 0.2, 0.35, 0.5, 0.65, 0.8, 1) == pytest.approx([1, 1, 1.5, 5, 4.5, 4, 4])


def test_warm_up_is_a_factor_of_another_schedule():
    assert values("warmup(cosine(), over=0.2, start=0.5)", 0, 0.1, 0.5) == pytest.approx(
        [0.5, 0.75 * values("cosine()", 0.1)[0], 0.5]
    )
    for moment in (0.2, 0.3, 0.99):
        assert values("warmup(cosine(), over=0.2)", moment) == values("cosine()", moment)


def test_warm_up_tells_the_other_schedule_what_it_weighs():
    warm, plain = (inradius.make(spec, Schedule) for spec in ("warmup(elle_a(), over=0.8)", "elle_a()"))
    memories = {}, {}
    numbers = [1.0, 1.1, 0.9, 1.0, 50.0, 1.0, 1.0]
    pairs = [
        (warm.weigh(value, place / 10, memories[0]), plain.weigh(value, place / 10, memories[1]))
        for place, value in enumerate(numbers)
    ]
    assert max(factor for factor, _ in pairs) > 0
    assert [factor for factor, _ in pairs] == pytest.approx([p / 8 * one for p, (_, one) in enumerate(pairs)])


SEEN = []


@attrs.frozen(kw_only=True)
class Watch(inradius.Defense):
    """Plain training that shows the moment, the rate of the step before, and the radius."""

    name = "watch"

    def loss(self, model, batch, threat, run):
        SEEN.append((run.progress, run.optimizer.param_groups[0]["lr"], threat.eps))
        return cross_entropy(run.look(batch).clean(model), batch)


@pytest.mark.parametrize("spec", ["cosine()", "cyclic()", "piecewise_linear()", "warmup(steps(), over=0.3)"])
def test_rates_and_radii_change_within_an_epoch(tmp_path, spec):
    SEEN.clear()
    data = inradius.Dataset.of(torch.rand(16, 2, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 2)
    inradius.train(
        Watch(),
        nn.Linear(2, 2),
        data,
        "linf(eps=0.5)",
        folder=tmp_path,
        epochs=3,
        batch_size=4,
        validation=0.0,
        lr=0.01,
        schedule=spec,
        radius="ramp(over=0.5)",
        device="cpu",
    )
    moments = [place / 12 for place in range(12)]
    assert [moment for moment, _, _ in SEEN] == pytest.approx(moments)
    assert [rate for _, rate, _ in SEEN[1:]] == pytest.approx([0.01 * one for one in values(spec, *moments[:-1])])
    assert [eps for _, _, eps in SEEN] == pytest.approx([0.5 * min(1, 2 * moment) for moment in moments])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("linear(first=0.5, last=0.5)", "last=0.5 is not allowed; allowed are shares of the run above first=0.5"),
        ("linear(stop=2)", "stop=2.0 is not allowed"),
        ("multiple(drops=0)", "drops=0 is not allowed"),
        ("steps(at=(0.7, 0.5))", "allowed are rising shares of the run, each in"),
        ("steps(factor=0)", "factor=0.0 is not allowed"),
        ("piecewise_linear(at=(0, 2), values=(0, 1))", "allowed are rising shares of the run"),
        ("piecewise_linear(at=(0, 1), values=(1,))", "allowed is one number ≥ 0 for each of at"),
        ("piecewise_linear(at=(0, 1), values=(1, -1))", "allowed is one number ≥ 0 for each of at"),
        ("warmup(linf(eps=1))", "allowed is a component of kind Schedule"),
        ("warmup(over=-1)", "over=-1.0 is not allowed"),
    ],
)
def test_wrong_parameters_are_named(spec, message):
    with pytest.raises(inradius.SpecError, match=message):
        inradius.make(spec)
