"""What counts as a success fools the model again; what rounding decides counts on neither side."""

import json

import attrs
import pytest
import torch
from bracket_toys import Cube, cloud, run
from torch import nn

import inradius
from inradius import Attack, Dataset
from inradius.attacks.verdict import certain, judge
from inradius.sets.lengthen import lengthen
from inradius.stored.checksum import sealed_json


@attrs.frozen(kw_only=True)
class Shift(Attack):
    """A constant perturbation of every coordinate."""

    aims = True

    amount: float = -0.5

    def perturb(self, batch, *, observe=None):
        return torch.full_like(batch.x, self.amount)


class Counted(nn.Module):
    """Two logits (s, 0), where s is the sum of the input; it counts its calls and sees what ``spoil`` makes of s."""

    def __init__(self, spoil=lambda s, x: s):
        super().__init__()
        self.weight, self.spoil, self.calls = nn.Parameter(torch.ones(())), spoil, 0

    def forward(self, x):
        self.calls += 1
        s = self.spoil(self.weight * x.flatten(1).sum(1), x)
        return torch.stack([s, torch.zeros_like(s)], dim=1)


def found(model, x, amount=-0.5, **options):
    x = torch.tensor(x)[:, None]
    return Shift(amount=amount)(model, x, torch.zeros(len(x), dtype=torch.int64), Cube(eps=1.0), **options)


def test_a_clear_answer_costs_one_pass():
    model = Counted()
    assert found(model, [0.1, 0.9]).success.tolist() == [True, False]
    assert model.calls == 1


def test_a_close_answer_is_run_again_and_counts_no_query():
    model = Counted()
    answer = found(model, [0.4999, 0.1, 0.5001])
    assert answer.success.tolist() == [True, True, False]
    assert answer.within_rounding.tolist() == [False] * 3
    assert model.calls == 3, "the batch, and the first and the last alone; the copy in float64 counts for itself"
    assert answer.queries.tolist() == [1, 1, 1]


@pytest.mark.parametrize("goal", [None, 1])
def test_a_tie_is_within_rounding(goal):
    goal = None if goal is None else torch.tensor([goal])
    answer = found(Counted(), [0.5], goal=goal)
    assert (answer.success.tolist(), answer.within_rounding.tolist()) == ([False], [True])


def test_a_success_holds_in_float64():
    # in float32 the large number swallows the sum, and the model's own hundredth of a thousandth decides
    model = Counted(lambda s, x: (s + 1000.0) - 1000.0 - 1e-5)
    answer = found(model, [0.50002])
    with torch.no_grad():
        assert answer.margin < 0 < model.double()(torch.tensor([[0.00002]], dtype=torch.float64))[0, 0]
    assert (answer.success.tolist(), answer.within_rounding.tolist()) == ([False], [True])


def test_a_success_holds_alone():
    model = Counted(lambda s, x: s - 2e-5 * (len(x) > 1))
    answer = found(model, [0.50001, 0.2])
    assert answer.margin[0] < 0
    assert answer.success.tolist() == [False, True]
    assert answer.within_rounding.tolist() == [True, False]


def test_what_keeps_its_label_in_one_run_alone_is_within_rounding():
    model = Counted(lambda s, x: s + 2e-5 * (len(x) > 1))
    answer = found(model, [0.49999, 0.9])
    assert answer.margin[0] > 0
    assert answer.within_rounding.tolist() == [True, False]


def test_an_answer_outside_of_the_set_is_never_run_again():
    model = Counted()
    x, y = torch.tensor([[1.9999]]), torch.zeros(1, dtype=torch.int64)
    with pytest.warns(inradius.errors.PluginWarning, match="left the set"):
        answer = Shift(amount=-2.0)(model, x, y, Cube(eps=1.0))
    assert (answer.success.tolist(), answer.within_rounding.tolist()) == ([False], [False])
    assert model.calls == 1


def refuses_one(s, x):
    if len(x) == 1:
        raise ValueError("more than one, please")
    return s


def test_runs_that_the_model_refuses_are_left_out():
    assert found(Counted(refuses_one), [0.4999, 0.4999]).success.all()
    typed = Counted(lambda s, x: s + torch.zeros(1, 1).matmul(torch.zeros(1, 1, dtype=x.dtype))[0, 0])
    with pytest.raises(RuntimeError, match="dtype"):
        typed.double()(torch.zeros(1, 1, dtype=torch.float64))
    assert found(typed.float(), [0.4999]).success.all()


def test_a_plain_function_is_judged_in_its_own_precision():
    model = Counted()
    answer = found(lambda x: model(x), [0.4999, 0.5])
    assert answer.success.tolist() == [True, False]


def test_statistics_of_the_batch_are_not_asked_for_an_example_alone():
    model = nn.Sequential(nn.BatchNorm1d(1), Counted())
    answer = found(model, [0.4999, 0.5001], bn_mode="train_notrack")
    assert model[1].calls == 1
    assert answer.success.tolist() == [True, False]


def test_the_model_stays_in_its_type():
    model = Counted()
    found(model, [0.4999])
    assert model.weight.dtype == torch.float32


def test_judging_float64_needs_no_copy():
    model = Counted().double()
    x = torch.tensor([[-1e-12], [0.0], [1e-12], [1.0]], dtype=torch.float64)
    y, still = torch.zeros(4, dtype=torch.int64), torch.zeros_like(x)
    judged = judge(model, x, still, model(x), y)
    assert judged.lost.tolist() == [True, False, False, False]
    assert judged.unclear.tolist() == [False, True, False, False]


def test_certain_is_a_margin_beyond_rounding():
    logits = torch.tensor([[1.0, 1.1], [1.0, 1.0], [1.0, 1.0 + 1e-6], [2.0, 1.0]])
    assert certain(logits, torch.zeros(4, dtype=torch.int64)).tolist() == [True, False, False, False]
    assert certain(logits, torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)).tolist() == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "spec",
    [
        *("linf(eps=0.2)", "l2(eps=0.7)", "l1(eps=2.0)", "l0(k=5)", "patch(size=2)", "wasserstein(eps=0.3)"),
        *("l2(eps=0.7, bounds=None)", "union(linf(eps=0.1), l2(eps=0.5))"),
    ],
)
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_longer_perturbation_stays_where_it_was(spec, factor):
    """Within the box, within the set if it was a member, and not shorter by more than the box takes."""
    torch.manual_seed(0)
    threat, x = inradius.make(spec, inradius.ThreatModel), torch.rand(8, 1, 6, 6)
    # the farthest point of a set does not fill it, as a member's gauge says
    delta = threat.scaled(factor).linear_max(torch.randn_like(x), x) if factor != 1 else threat.sample(x)
    before, longer = threat.gauge(delta, x), lengthen(threat, delta, x)
    after = threat.gauge(longer, x)
    assert (threat.violation(longer, x) <= 1e-5).all()
    assert ((after <= 1 + 1e-5) | (before > 1)).all()
    assert (after <= before * 1.0011 + 1e-5).all()
    assert (longer.flatten(1).norm(dim=1) >= delta.flatten(1).norm(dim=1) * (1 - 1e-5)).all()


# the bracket


class Ties(nn.Module):
    """Class 0 by max(s − 0.25, 0), so that below 0.25 it ties with class 1, unless s is negative."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        s = self.weight * x.flatten(1).sum(1)
        return torch.stack([(s - 0.25).clamp(min=0), -s.clamp(max=0)], dim=1)


def tied(folder, attacks, **options):
    x = torch.tensor([[0.5], [0.9], [2.0], [0.2]])
    data = Dataset.of(x, torch.zeros(4, dtype=torch.int64), bounds=None)
    return inradius.bracket(Ties(), data, Cube(eps=0.7), attacks=attacks, certifiers=[], folder=folder, **options)


def test_an_answer_that_ties_counts_on_neither_side(tmp_path):
    report = tied(tmp_path, [Shift(amount=-0.7)])
    # the third is far away, and the last one is a tie already, which is wrong
    assert [e.status for e in report.examples] == ["attacked", "within_rounding", "undecided", "wrong"]
    assert (report.lower, report.upper, report.clean) == (0.0, 0.5, 0.75)
    assert report.summary()["attacks"]["shift(amount=-0.7)"]["within_rounding"] == 1
    assert report.summary()["membership"]["rejected"] == 0
    assert report.examples[1].attacked_by is None
    assert "1 are within rounding" in report.to_html()
    assert inradius.Report.load(tmp_path) == report


def test_an_attack_that_gets_beyond_decides(tmp_path):
    report = tied(tmp_path, [Shift(amount=-0.3), Shift(amount=-0.7)])
    assert report.examples[0].attempts[0].within_rounding
    assert [e.status for e in report.examples[:2]] == ["attacked", "within_rounding"]


@pytest.mark.parametrize("attack", ["pgd(steps=5)", "fmn(steps=20)", "restarts(ddn(steps=5), n=2)"])
def test_a_network_that_ties_in_the_whole_reach_is_not_broken(tmp_path, attack):
    data = Dataset.of(torch.tensor([[0.9]]), torch.zeros(1, dtype=torch.int64), bounds=None)
    report = inradius.bracket(
        Ties(), data, "linf(eps=0.7, bounds=None)", attacks=[attack], certifiers=[], folder=tmp_path
    )
    assert [e.status for e in report.examples] == ["within_rounding"]


def test_reports_of_other_versions_are_read(tmp_path):
    """A field that an older version did not write has its default, and one that a newer version writes is left out."""
    report = run(tmp_path, attacks=[Shift(amount=0.1)])
    path = tmp_path / "report.json"
    record = json.loads(path.read_text())
    for example in record["table"]:
        for attempt in example["attempts"]:
            del attempt["within_rounding"]
            attempt["of_the_future"] = 1
    path.write_bytes(sealed_json(record))
    assert len(inradius.Report.load(tmp_path).examples) == len(cloud().labels) == len(report.examples)
