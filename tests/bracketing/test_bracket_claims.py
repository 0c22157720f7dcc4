"""Claims in the bracket: a solver's word counts where it is asked for, and stops no run where it is wrong."""

import json

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Guess, cloud, linear, run

import inradius
from inradius import Bounds, Certifier
from inradius.report import Report
from inradius.stored.checksum import sealed_json


@attrs.frozen(kw_only=True)
class Sworn(Exact):
    """The true minimum for a linear model, which it claims by example: the even ones by a proof, the others as ``claim``.

    The proof is at level "float", so that these tests hold at any level.
    """

    claim: str = "solver"

    def lower_bound(self, model, x, threat, prop, rng):
        even = (x[:, 0].abs() * 1e6).long() % 2 == 0
        claim = tuple("float" if known else self.claim for known in even.tolist())
        bounds = super().lower_bound(model, x, threat, prop, rng)
        doubt = 0.01 if self.claim == "probabilistic" else 0.0
        return attrs.evolve(bounds, claim=claim, failure_probability=doubt)


@attrs.frozen(kw_only=True)
class Real(Exact):
    """The true minimum for a linear model, as a proof about its exact function."""

    def lower_bound(self, model, x, threat, prop, rng):
        return attrs.evolve(super().lower_bound(model, x, threat, prop, rng), claim="real")


@attrs.frozen(kw_only=True)
class Oath(Certifier):
    """Holds everything to be robust by a solver's word."""

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.ones_like(prop.offsets), claim="solver")


def certified(report):
    return {e.row for e in report.examples if e.status == "certified"}


def test_a_solvers_word_counts_where_it_was_asked_for(tmp_path):
    whole = run(tmp_path / "exact", attacks=[], certifiers=[Exact()])
    left = run(tmp_path / "left", attacks=[], certifiers=[Sworn()])
    counted = run(tmp_path / "counted", attacks=[], certifiers=[Sworn()], accept_solver=True)
    assert certified(left) < certified(counted) == certified(whole)
    assert left.claims == counted.claims
    assert left.claims["float"] == len(certified(left))
    assert sum(left.claims.values()) == len(certified(whole))
    assert (whole.claims, set(left.claims)) == ({"float": len(certified(whole))}, {"float", "solver"})
    for report in (left, counted):
        for example in report.examples:
            if example.verdict and example.verdict.certified:
                assert example.claim == example.verdict.claim
                assert example.verdict.proof == (example.claim == "float")
                assert (example.certified_by is None) == (example.status != "certified")
    assert left.setting.key != counted.setting.key


def test_what_only_a_solver_holds_to_be_robust_is_still_attacked(tmp_path):
    left = run(tmp_path / "left", attacks=[Guess()], certifiers=[Sworn()], audit=0.0)
    assert all(example.attempts for example in left.examples if example.correct and example.claim == "solver")
    counted = run(tmp_path / "counted", attacks=[Guess()], certifiers=[Sworn()], audit=0.0, accept_solver=True)
    assert not any(example.attempts for example in counted.examples if example.claim == "solver")


@pytest.mark.parametrize("accept_solver", [False, True])
def test_a_solvers_word_that_an_attack_refutes_is_counted_and_stops_nothing(tmp_path, accept_solver):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Oath()], exhaustive=True, accept_solver=accept_solver)
    exact = run(tmp_path / "exact", attacks=[Corner()], certifiers=[Exact()], exhaustive=True)
    assert report.conflicts == report.counts["attacked"] == exact.counts["attacked"] > 0
    assert report.upper == exact.upper
    assert report.lower == (exact.upper if accept_solver else 0.0)
    assert f"{report.conflicts} with a certificate that is no proof were broken" in report.to_html()


def test_claims_are_kept_with_the_report_and_read_back(tmp_path):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Sworn(loss=0.1), Sworn(claim="probabilistic")])
    assert Report.load(tmp_path).examples == report.examples
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["claims"] == report.claims
    assert {claim for entry in found["certifiers"].values() for claim in entry["claims"]} == {
        "float",
        "solver",
        "probabilistic",
    }
    csv = (tmp_path / "examples.csv").read_text().splitlines()
    column = csv[0].split(",").index("claim")
    assert [line.split(",")[column] for line in csv[1:]] == [example.claim or "" for example in report.examples]
    for example in report.examples:
        for verdict in example.verdicts:
            assert (verdict.failure_probability > 0) == (verdict.claim == "probabilistic")
    again = run(tmp_path, attacks=[Corner()], certifiers=[Sworn(loss=0.1), Sworn(claim="probabilistic")])
    assert again.examples == report.examples


def test_a_report_from_before_there_were_claims_has_those_that_follow(tmp_path):
    certifiers = [Real(), Exact(loss=0.01, doubt=0.1)]
    report = run(tmp_path, attacks=[], certifiers=certifiers, exhaustive=True, claim="real")
    record = json.loads((tmp_path / "report.json").read_text())
    for entry in record["table"]:
        for verdict in entry["verdicts"]:
            del verdict["claim"], verdict["accepted"]
    del record["setting"]["claim"], record["claim"], record["uncounted"]
    (tmp_path / "report.json").write_bytes(sealed_json(record))
    assert Report.load(tmp_path) == report


def test_a_curve_reuses_a_claim_with_its_level(tmp_path):
    options = {"attacks": [Corner()], "certifiers": [Sworn()], "batch_size": 16}
    reports = inradius.bracket_curve(linear(), cloud(), Cube(eps=0.2), [0.5, 1.0], folder=tmp_path, **options)
    alone = inradius.bracket(linear(), cloud(), Cube(eps=0.1), folder=tmp_path / "alone", **options)
    reused = [e for e in reports[0].examples if any(verdict.reused for verdict in e.verdicts)]
    assert reused
    assert all(example.claim == "float" for example in reused)
    assert reports[0].lower == alone.lower
