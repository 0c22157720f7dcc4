"""Witnesses of certifiers in a bracket: the referee judges them, and they count as attacks."""

import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Refuter, cloud, linear, run
from chain_networks import compared

import inradius
from inradius.cli.summary import show
from inradius.report.tables import kills_csv


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr("inradius.report.report._figures", lambda report: {})


def statuses(report):
    return [example.status for example in report.examples]


def test_a_certifier_that_tells_witnesses_closes_the_bracket_alone(tmp_path):
    report, both = (
        run(tmp_path / "one", attacks=[], certifiers=[Refuter()]),
        run(tmp_path / "two", attacks=[Corner()], certifiers=[Exact()]),
    )
    assert statuses(report) == statuses(both)
    assert report.lower == report.upper
    broken = [example for example in report.examples if example.status == "attacked"]
    assert len(broken) > 5
    for example in broken:
        (made,) = example.attempts
        assert (made.witness, made.inside, made.rejected, example.attacked_by) == (True, True, False, "refuter()")
        delta = report.deltas[example.row]
        assert float(delta.abs().amax()) <= 0.2
        with torch.no_grad():
            assert int(linear()(cloud().inputs[example.row] + delta).argmax()) != example.label


def test_it_is_counted_beside_the_attacks_and_printed(tmp_path, capsys):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Refuter()], audit=0)
    found = report.summary()
    assert found["certifiers"]["refuter()"]["refuted"] == report.counts["attacked"] > 0
    # what a witness has broken is handed to no attack
    assert found["attacks"]["corner()"]["tried"] == 0
    assert (found["kills"]["complete"], found["audit"]["certified_and_attacked"]) == (False, 0)
    assert kills_csv(report).splitlines()[0] == "row,index,label,status,corner()"
    alone = run(tmp_path / "alone", attacks=[], certifiers=[Refuter()])
    show(alone)
    printed = capsys.readouterr().out
    assert "refuted" in printed
    assert "under attack" in printed
    show(run(tmp_path / "none", attacks=[], certifiers=[Exact()]))
    assert "refuted" not in capsys.readouterr().out


def test_a_witness_outside_of_the_set_is_rejected(tmp_path):
    report = run(tmp_path, attacks=[], certifiers=[Refuter(stretch=2.0)])
    assert report.counts["attacked"] == 0
    made = [attempt for example in report.examples for attempt in example.attempts]
    assert made
    assert all(attempt.rejected and not attempt.inside and not attempt.success for attempt in made)


def test_a_report_is_read_back_with_its_witnesses(tmp_path):
    report = run(tmp_path, attacks=[], certifiers=[Refuter()])
    again = inradius.Report.load(tmp_path)
    assert again == report
    for row, delta in report.deltas.items():
        assert torch.equal(again.deltas[row], delta)


def test_a_run_whose_witnesses_are_lost_finds_them_again(tmp_path):
    options = {"attacks": [], "certifiers": [Refuter()]}
    report = run(tmp_path, **options)
    lost = sorted((tmp_path / "deltas").glob("witness-0-*"))[0]
    lost.unlink()
    assert run(tmp_path, **options) == report
    assert lost.exists()


def test_exhaustive_runs_tell_both(tmp_path):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Refuter()], exhaustive=True)
    assert report.summary()["kills"]["complete"]
    for example in report.examples:
        assert len(example.attacks) == 1
        assert len(example.attempts) == 1 + (not example.certified)


def test_a_witness_of_a_smaller_radius_is_used_at_a_larger_one(tmp_path):
    parts = {"attacks": [], "certifiers": [Refuter()], "batch_size": 16, "folder": tmp_path}
    # the middle one is run first
    _, small, large = inradius.bracket_curve(linear(), cloud(), Cube(eps=0.2), [0.25, 0.5, 1.0], **parts)
    reused = [attempt for example in large.examples for attempt in example.attempts if attempt.reused]
    assert len(reused) == small.counts["attacked"] > 0
    assert all(attempt.witness for attempt in reused)


@pytest.mark.parametrize("spec", ["branch_and_bound(seconds=60)", "certifier_cascade(interval, seconds=60)"])
@pytest.mark.parametrize("threat", ["linf(eps=0.06)", "union(linf(eps=0.03), l1(eps=0.1))"])
def test_a_complete_search_leaves_no_gap(tmp_path, spec, threat):
    net, x = compared(), torch.rand(12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = inradius.Dataset.of(x, net(x).argmax(1), name="points")
    report = inradius.bracket(net, data, threat, attacks=[], certifiers=[spec], folder=tmp_path)
    assert 0 < report.lower == report.upper < 1
    assert {example.attacked_by for example in report.examples} == {None, str(inradius.make(spec, inradius.Certifier))}
