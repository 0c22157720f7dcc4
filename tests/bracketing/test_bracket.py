import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import bracket_toys
import pytest
import torch
from bracket_toys import Corner, Cube, Escape, Exact, Liar, ShortCube, cloud, linear, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

import inradius
from inradius.attacks.objective import class_margin
from inradius.bracketing.run import audited
from inradius.bracketing.store import locked

LAW = settings(
    max_examples=8, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def truth(data, model, eps):
    """The smallest margin of a linear model in closed form."""
    rows = model.weight[data.labels][:, None] - model.weight[None]
    margins = model(data.inputs).gather(1, data.labels[:, None]) - model(data.inputs) - eps * rows.abs().sum(2)
    return margins.scatter(1, data.labels[:, None], torch.inf).amin(1)


def test_the_bracket_holds_the_robust_accuracy(tmp_path):
    report = run(tmp_path)
    robust = (truth(cloud(), linear(), 0.2) > 0).double().mean().item()
    assert report.lower < report.upper < report.clean < 1
    assert report.lower <= robust <= report.upper
    assert set(report.counts) == {"wrong", "attacked", "within_rounding", "undecided", "certified"}
    assert sum(report.counts.values()) == 80
    assert all(
        low < value < high
        for (low, high), value in zip(
            report.intervals.values(), (report.lower, report.upper, report.clean), strict=True
        )
    )


def test_exact_methods_close_the_bracket(tmp_path):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Exact()])
    robust = truth(cloud(), linear(), 0.2) > 0
    assert report.lower == report.upper == robust.double().mean().item()
    assert [e.status == "certified" for e in report.examples] == robust.tolist()


def test_examples_tell_what_decided_them(tmp_path):
    data, model = cloud(), linear()
    report = run(tmp_path)
    for example in report.examples:
        assert example.index == data.index[example.row]
        assert example.label == data.labels[example.row]
        assert example.correct == (example.predicted == example.label)
        if example.status == "attacked":
            delta = report.deltas[example.row]
            margin = class_margin(
                model((data.inputs[example.row] + delta)[None]), data.labels[example.row][None]
            ).item()
            assert margin == pytest.approx(example.margin)
            assert margin <= 0
            assert example.attacked_by in {"guess()", "corner()"}
            assert example.gauge <= 1 + 1e-5
        if example.status == "certified":
            assert example.certified_by in {"exact(loss=0.3)", "exact(loss=0.05)"}
            assert 0 < example.bound <= truth(data, model, 0.2)[example.row].item() + 1e-9


def test_decided_examples_drop_out(tmp_path):
    report = run(tmp_path, audit=0)
    for example in report.examples:
        if not example.correct:
            assert not example.attempts
            assert not example.verdicts
        if example.certified_by == "exact(loss=0.3)":
            assert len(example.verdicts) == 1
            assert not example.attempts
        if example.attacked_by == "guess()":
            assert len(example.verdicts) == 1
            assert len(example.attempts) == 1
        if example.status == "undecided":
            assert len(example.verdicts) == 2
            assert len(example.attempts) == 2


def test_the_audit_shows_decided_examples_to_the_other_side(tmp_path):
    report = run(tmp_path, data=cloud(400), audit=0.2)
    certified = [e for e in report.examples if e.status == "certified"]
    broken = [e for e in report.examples if e.status in ("wrong", "attacked")]
    for group, complete in ((certified, lambda e: len(e.attempts) == 2), (broken, lambda e: len(e.verdicts) == 2)):
        share = sum(map(complete, group))
        assert 32 <= share < len(group)
    assert report.summary()["audit"]["certified_and_attacked"] == sum(len(e.attempts) == 2 for e in certified)
    assert report.summary()["audit"]["smallest_slack"] > 0


def test_exhaustive_drops_nothing(tmp_path):
    report = run(tmp_path, exhaustive=True)
    assert all(len(e.attempts) == 2 and len(e.verdicts) == 2 for e in report.examples)
    part = run(tmp_path / "part")
    assert [e.status for e in part.examples] == [e.status for e in report.examples]


@LAW
@given(st.lists(st.integers(0, 10**6), unique=True, max_size=200), st.integers(0, 9), st.floats(0.01, 1), st.randoms())
def test_the_audit_depends_on_examples_alone(index, seed, share, random):
    """Law: neither the order of the examples nor those that are not candidates change who is audited."""
    numbers = torch.tensor(index, dtype=torch.int64)
    rows = list(range(len(index)))
    chosen = audited(rows, numbers, seed, share)
    assert len(chosen) >= min(32, len(rows))
    assert set(chosen) <= set(rows)
    order = random.sample(rows, len(rows))
    again = audited(rows, numbers[torch.tensor(order, dtype=torch.int64)], seed, share)
    assert {order[row] for row in again} == set(chosen)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batch_size_changes_nothing(tmp_path, size):
    reference, report = run(tmp_path / "reference"), run(tmp_path / "other", batch_size=size)
    assert reference.setting == report.setting
    for one, other in zip(reference.examples, report.examples, strict=True):
        assert (one.status, one.attacked_by, one.certified_by) == (other.status, other.attacked_by, other.certified_by)
        assert one.clean_margin == pytest.approx(other.clean_margin, rel=1e-12)


def test_a_subset_has_the_same_examples(tmp_path):
    data = cloud()
    whole = run(tmp_path / "whole", data=data, audit=0)
    part = run(tmp_path / "part", data=data.select(torch.arange(40, 80)), audit=0)
    assert [(e.index, e.status) for e in whole.examples[40:]] == [(e.index, e.status) for e in part.examples]


@LAW
@given(st.floats(0, 1))
def test_a_torn_log_is_taken_up_where_it_ended(tmp_path_factory, share):
    """Law: cut the results anywhere, run again, and the report is that of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("torn")
    whole = run(folder)
    log = folder / "results.jsonl"
    content = log.read_bytes()
    log.write_bytes(content[: int(share * len(content))])
    assert run(folder) == whole


@pytest.mark.parametrize("size", [1, 9, 80])
def test_a_torn_log_is_taken_up_with_another_batch_size(tmp_path, size):
    """What is known is known example by example, not batch by batch."""
    whole = run(tmp_path / "whole")
    run(tmp_path / "torn")
    log = tmp_path / "torn" / "results.jsonl"
    content = log.read_bytes()
    log.write_bytes(content[: len(content) // 2])
    known = [json.loads(line) for line in log.read_bytes().splitlines()[:-1]]
    assert run(tmp_path / "torn", batch_size=size) == whole
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert lines[: len(known)] == known
    done = [(line["stage"], row) for line in lines if "rows" in line for row in line["rows"]]
    assert len(done) == len(set(done))


@pytest.mark.parametrize("call", [pytest.param(2, marks=pytest.mark.slow), 12])
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path, call):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import bracket_toys; bracket_toys.run(sys.argv[2])"
    command = [sys.executable, "-c", code, str(Path(bracket_toys.__file__).parent), str(tmp_path / "killed")]
    environment = {**os.environ, "TOYS_KILL_AT": str(call)}
    dead = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert dead.returncode == -9, dead.stderr.decode()
    assert not (tmp_path / "killed" / "report.json").exists()
    report, whole = run(tmp_path / "killed"), run(tmp_path / "whole")
    assert report == whole
    assert all(report.deltas[row].equal(delta) for row, delta in whole.deltas.items())
    assert {**report.evidence(), "times": 0} == {**whole.evidence(), "times": 0}


def test_a_finished_run_is_read_and_not_repeated(tmp_path):
    report = run(tmp_path)
    size = (tmp_path / "results.jsonl").stat().st_size
    again = run(tmp_path)
    assert again == report
    assert again.seconds == report.seconds
    assert (tmp_path / "results.jsonl").stat().st_size == size
    fresh = run(tmp_path, fresh=True)
    assert fresh == report
    assert fresh.seconds != report.seconds


def test_lost_perturbations_are_found_again(tmp_path):
    report = run(tmp_path)
    shutil.rmtree(tmp_path / "deltas")
    assert run(tmp_path) == report


def test_the_folder_is_keyed_by_what_decides_the_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = (
        {"audit": 0.5},
        {"seed": 1},
        {"exhaustive": True},
        {"union": "hull"},
        {"model": linear(seed=1)},
        {"data": cloud(79)},
    )
    folders = [
        run(None, **option).folder
        for option in ({}, *options, {"threat": Cube(eps=0.1)}, {"attacks": [Corner(seed=1)]})
    ]
    assert len(set(folders)) == len(folders)
    assert all(folder.parent == Path("inradius-runs") for folder in folders)
    same = [run(None, batch_size=5), run(None, device="cpu"), run(None, model_name="another")]
    assert {report.folder for report in same} == {folders[0]}


def test_another_run_in_the_folder_is_an_error_unless_fresh(tmp_path):
    run(tmp_path)
    with pytest.raises(inradius.InputError, match=r"another run.*differs in seed\)"):
        run(tmp_path, seed=1)
    assert run(tmp_path, seed=1, fresh=True).setting.seed == 1


def test_an_answer_outside_of_the_set_is_no_success(tmp_path):
    report = run(tmp_path, attacks=[Escape()], certifiers=[])
    assert report.upper == report.clean
    assert report.lower == 0
    assert report.summary()["membership"]["refused"] == report.counts["undecided"]


def test_a_probabilistic_certificate_in_conflict_is_counted(tmp_path):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Liar()], audit=1.0)
    robust = (truth(cloud(), linear(), 0.2) > 0).double().mean().item()
    assert report.conflicts == report.counts["attacked"] > 0
    assert report.lower == report.upper == robust


def test_a_tie_beside_a_proof_is_within_rounding(tmp_path):
    """A certificate above zero by less than rounding, and an attack that reaches zero: neither is believed."""

    @attrs.frozen(kw_only=True)
    class Hair(Exact):
        def lower_bound(self, model, x, threat, prop, rng):
            found = Exact.lower_bound(self, model, x, threat, prop, rng)
            tied = found.value.abs() < 1e-9
            return inradius.Bounds(torch.where(tied, 1e-12, found.value), error=torch.zeros_like(found.value))

    model = nn.Linear(1, 2, bias=False, dtype=torch.float64)
    model.weight.data = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    x = torch.tensor([[0.25], [0.5], [0.75]], dtype=torch.float64)
    data = inradius.Dataset.of(x, torch.zeros(3, dtype=torch.int64), bounds=None)
    options = {"attacks": [Corner()], "certifiers": [Hair()], "folder": tmp_path, "claim": "real"}
    report = inradius.bracket(model, data, Cube(eps=0.5), **options)
    assert [e.status for e in report.examples] == ["attacked", "within_rounding", "certified"]
    assert (report.lower, report.upper, report.clean) == (1 / 3, 2 / 3, 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("exhaustive", [False, True])
def test_a_contradiction_stops_the_run_and_is_saved(tmp_path, dtype, exhaustive):
    options = {
        "model": linear(dtype),
        "data": cloud(400, dtype),
        "threat": ShortCube(eps=0.4),
        "exhaustive": exhaustive,
    }
    options |= {"attacks": [Corner()], "certifiers": [Exact()], "folder": tmp_path}
    for _ in range(2):
        with pytest.raises(inradius.ContradictionError, match="one of the two is wrong") as caught:
            run(**options)
    assert str(tmp_path) in str(caught.value)
    record = json.loads((tmp_path / "contradiction.json").read_text())
    saved = load_file(tmp_path / "contradiction.safetensors")
    delta, label = saved["delta_float64"], torch.tensor([record["label"]])
    margin = class_margin(linear(dtype).double()((saved["x"].double() + delta)[None]), label).item()
    assert delta.abs().max() <= 0.4
    assert margin == record["margin"] < record["bound"] - record["error"]
    assert saved["x"].equal(options["data"].inputs[record["row"]])
    assert not (tmp_path / "report.json").exists()


def test_a_single_method_may_stand_alone(tmp_path):
    report = run(tmp_path, attacks=Corner(), certifiers=Exact())
    assert list(report.setting.attacks) == ["corner()"]
    assert list(report.setting.certifiers) == ["exact()"]


def test_no_methods_give_the_trivial_bracket(tmp_path):
    report = run(tmp_path, attacks=[], certifiers=[])
    assert (report.lower, report.upper) == (0.0, report.clean)


def test_the_model_is_left_as_it_was(tmp_path):
    model = linear().train()
    model.bias.requires_grad_(False)
    run(tmp_path, model=model)
    assert model.training
    assert model.weight.requires_grad
    assert not model.bias.requires_grad
    assert model.weight.grad is None


def test_a_curve_has_a_report_for_each_radius(tmp_path):
    reports = inradius.bracket_curve(
        linear(), cloud(), Cube(eps=0.2), [0.0, 0.5, 1.0], folder=tmp_path, attacks=Corner(), certifiers=Exact()
    )
    assert [report.setting.radius for report in reports] == [0.0, 0.1, 0.2]
    assert reports[0].upper == reports[0].clean
    assert reports[0].upper >= reports[1].upper >= reports[2].upper


def test_two_processes_cannot_share_a_folder(tmp_path):
    tmp_path.joinpath("run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(inradius.InputError, match="another process"):
        run(tmp_path / "run")
    run(tmp_path / "run")


@LAW
@given(st.binary(min_size=1, max_size=40), st.floats(0, 1))
def test_a_spoiled_log_is_worked_out_again(tmp_path_factory, junk, share):
    """Law: whatever stands in the middle of the results that is no record, the report is that of an untouched run."""
    folder = tmp_path_factory.mktemp("spoiled")
    whole = run(folder, audit=0)
    log = folder / "results.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    place = int(share * len(lines))
    log.write_bytes(b"".join([*lines[:place], b"{" + junk + b"\n", *lines[place:]]))
    assert run(folder, audit=0) == whole
