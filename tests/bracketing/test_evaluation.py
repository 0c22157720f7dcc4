"""Evaluation: curves over the radius, the kill table, classes with intervals, and the command line's view of them."""

import csv
import io
import math

import attrs
import pytest
import torch
from bracket_toys import CALLS, Corner, Cube, Exact, Guess, cloud, linear, run
from hypothesis import given, settings
from hypothesis import strategies as st

import inradius
from inradius.bracketing.nesting import nested
from inradius.bracketing.radius_curve import _bisection
from inradius.report import clopper_pearson, robustness_curve
from inradius.stored.checksum import sealed_json

FACTORS = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]


def curve(folder, threat=None, factors=FACTORS, **options):
    threat = threat or Cube(eps=0.2)
    methods = {"attacks": [Guess(), Corner()], "certifiers": [Exact(loss=0.3), Exact(loss=0.05)], "audit": 0.0}
    return inradius.bracket_curve(linear(), cloud(), threat, factors, folder=folder, **methods | options)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """The reports of a curve by whether radii reuse each other's, and the folder of each curve."""
    folders = {reuse: tmp_path_factory.mktemp("curve") for reuse in (True, False)}
    return {reuse: curve(folder, reuse=reuse) for reuse, folder in folders.items()}, folders


def reach(data, model):
    """The radius at which a linear model errs, in closed form, (N,)."""
    rows = (model.weight[data.labels][:, None] - model.weight[None]).abs().sum(2)
    margins = model(data.inputs).gather(1, data.labels[:, None]) - model(data.inputs)
    return (margins / rows).scatter(1, data.labels[:, None], torch.inf).amin(1).clamp(min=0)


# curves over the radius


def test_a_curve_that_reuses_is_at_least_as_tight(curves):
    """Law: at every radius the reused bracket lies within the bracket of that radius alone, and it is monotone."""
    together, alone = curves[0][True], curves[0][False]
    robust = reach(cloud(), linear())
    for factor, one, other in zip(FACTORS, together, alone, strict=True):
        truth = (robust > 0.2 * factor).double().mean().item()
        assert other.lower <= one.lower <= truth <= one.upper <= other.upper
        assert one.clean == other.clean
    assert sorted((r.lower for r in together), reverse=True) == [r.lower for r in together]
    assert sorted((r.upper for r in together), reverse=True) == [r.upper for r in together]


def test_what_is_reused_is_judged_at_the_new_radius(curves):
    data, model = cloud(), linear()
    reports = dict(zip(FACTORS, curves[0][True], strict=True))
    reused = [(f, e) for f, r in reports.items() for e in r.examples if any(a.reused for a in e.attempts)]
    assert reused
    for factor, example in reused:
        attempt, delta = example.attempt, reports[factor].deltas[example.row]
        assert attempt.success
        assert attempt.queries == 1
        assert attempt.gauge == pytest.approx(delta.abs().max().item() / (0.2 * factor))
        assert (model((data.inputs[example.row] + delta)[None]).argmax(1) != data.labels[example.row]).all()
    proofs = [(f, v) for f, r in reports.items() for e in r.examples for v in e.verdicts if v.reused]
    assert proofs
    assert all(verdict.certified for _, verdict in proofs)
    assert sum(a["reused"] for r in reports.values() for a in r.summary()["attacks"].values()) == len(reused)


def test_reuse_asks_less(curves):
    asked = {}
    for reuse, reports in curves[0].items():
        found = [report.summary() for report in reports]
        images = sum(attack["queries"] for one in found for attack in one["attacks"].values())
        bounds = sum(proof["tried"] - proof["reused"] for one in found for proof in one["certifiers"].values())
        asked[reuse] = images, bounds
    assert asked[True][0] < 0.8 * asked[False][0]
    assert asked[True][1] < 0.6 * asked[False][1]


def test_a_curve_goes_on_from_its_folders(curves):
    reports, folders = curves
    CALLS["count"] = 0
    again = curve(folders[True])
    assert again == reports[True]
    assert CALLS["count"] == 0


def test_known_reports_are_taken_as_they_are(tmp_path):
    known = run(tmp_path / "known", audit=0.0)
    reports = curve(tmp_path, factors=[0.5, 1.0, 2.0], reports={1.0: known})
    assert reports[1] is known
    assert not (tmp_path / "factor-1").exists()
    assert any(v.reused for e in reports[0].examples for v in e.verdicts)
    assert any(a.reused for e in reports[2].examples for a in e.attempts)


def test_an_exhaustive_curve_reuses_nothing(tmp_path):
    reports = curve(tmp_path, factors=[0.5, 1.0], exhaustive=True)
    assert not any(a.reused for r in reports for e in r.examples for a in e.attempts)


@attrs.frozen(kw_only=True)
class Shell(Cube):
    """A set that shrinks as its radius grows: no certificate may pass from one radius to another."""

    def scaled(self, factor):
        return attrs.evolve(self, eps=self.eps / max(factor, 1e-9))


def test_certificates_are_not_reused_where_sets_are_not_nested(tmp_path):
    reports = curve(tmp_path, threat=Shell(eps=0.2), factors=[0.5, 1.0, 2.0])
    robust = reach(cloud(), linear())
    assert not any(v.reused for r in reports for e in r.examples for v in e.verdicts)
    for factor, report in zip([0.5, 1.0, 2.0], reports, strict=True):
        assert report.lower <= (robust > 0.2 / factor).double().mean().item() <= report.upper


@pytest.mark.parametrize(
    "spec",
    [
        "linf(eps=0.1)",
        "l2(eps=0.5)",
        "l1(eps=1)",
        "l0(k=3)",
        "union(linf(eps=0.1), l2(eps=0.5))",
        "wasserstein(eps=0.1)",
    ],
)
def test_the_sets_of_a_curve_are_nested(spec):
    threat = inradius.make(spec)
    batch = inradius.make("digits").take(6)
    assert nested(threat.scaled(0.5), threat, batch)
    assert nested(threat, threat.scaled(1.7), batch)
    assert not nested(threat, threat.scaled(0.4), batch)


@given(st.lists(st.floats(0, 4), unique=True, max_size=40), st.sets(st.floats(0, 4), max_size=3))
@settings(derandomize=True, deadline=None)
def test_bisection_takes_every_factor_once(factors, known):
    """Law: each factor comes once, and no more than log₂ of their number lie between a factor and what is decided around it."""
    order = list(_bisection(factors, dict.fromkeys(known)))
    assert sorted(order) == sorted(factors)
    if factors and not known:
        assert order[0] == sorted(factors)[len(factors) // 2]


# the curve of one run


@attrs.frozen(kw_only=True)
class Nearest(inradius.Attack):
    """The smallest perturbation that fools a linear model, in closed form, and a hair more."""

    minimal = True

    def perturb(self, batch, *, observe=None):
        weight = linear().weight
        rows = weight[batch.y][:, None] - weight[None]
        logits = batch.model(batch.x)
        radius = (logits.gather(1, batch.y[:, None]) - logits) / rows.abs().sum(2)
        radius = radius.scatter(1, batch.y[:, None], torch.inf)
        direction = -rows.sign()[torch.arange(len(batch.x)), radius.argmin(1)]
        return direction * (radius.amin(1).clamp(min=0) * (1 + 1e-9))[:, None]


def test_one_minimal_norm_run_gives_the_curve(tmp_path):
    report = run(tmp_path, attacks=[Nearest()], certifiers=[])
    found, robust = robustness_curve(report), reach(cloud(), linear())
    assert found.radius == 0.2
    for factor in (0.0, 0.3, 1.0, 2.5, 10.0):
        left = int((robust > 0.2 * factor * (1 + 1e-5)).sum())
        assert found.at(factor) == left / 80
        assert found.interval(factor) == clopper_pearson(left, 80)
    assert found.at(1.0) == report.upper
    assert found.median == pytest.approx(robust.sort().values[39].item() / 0.2)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "robustness.csv").read_text())))
    assert [float(row["accuracy"]) for row in rows] == [found.at(factor) for factor in found.steps]
    assert float(rows[0]["accuracy"]) == report.clean
    page = report.to_html()
    assert "Over the radius" in page
    assert page.count("<polyline") == 1


def test_the_curve_is_an_upper_bound_with_any_attack(tmp_path):
    report = run(tmp_path, exhaustive=True)
    found, robust = robustness_curve(report), reach(cloud(), linear())
    for factor in (0.5, 1.0, 2.0):
        assert found.at(factor) >= (robust > 0.2 * factor * (1 + 1e-5)).double().mean().item()
    assert found.at(1.0) == report.upper
    assert not (tmp_path / "robustness.csv").exists()
    assert math.isinf(found.quantile(1.0))


def test_a_curve_is_drawn(tmp_path):
    found = robustness_curve(run(tmp_path, attacks=[Nearest()], certifiers=[]))
    found.plot(tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text().lstrip().startswith("<?xml")


def test_without_attacks_there_is_no_curve(tmp_path):
    with pytest.raises(inradius.InputError, match="has no attack"):
        robustness_curve(run(tmp_path, attacks=[]))


# which attack broke what, and which class


def test_the_kill_table_counts_examples(tmp_path):
    report = run(tmp_path, attacks=[Guess(), Guess(seed=1), Corner()], exhaustive=True)
    found = report.summary()["kills"]
    assert found["complete"]
    right = [e for e in report.examples if e.correct]
    sets = {
        spec: {e.row for e in right for a in e.attempts if a.attack == spec and a.success} for spec in found["attacks"]
    }
    together = set()
    for spec, one in found["attacks"].items():
        together |= sets[spec]
        others = set().union(*(rows for other, rows in sets.items() if other != spec))
        assert one["broke"] == len(sets[spec])
        assert one["unique"] == len(sets[spec] - others)
        assert one["alone"]["accuracy"] == (len(right) - len(sets[spec])) / 80
        assert one["together"]["accuracy"] == (len(right) - len(together)) / 80
        assert tuple(one["together"]["interval"]) == clopper_pearson(len(right) - len(together), 80)
    assert found["pairs"] == [[len(a & b) for b in sets.values()] for a in sets.values()]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "kills.csv").read_text())))
    for spec, broken in sets.items():
        assert {int(row["row"]) for row in rows if row[spec] == "1" and row["status"] != "wrong"} == broken


def test_what_dropped_out_is_not_called_whole(tmp_path):
    report = run(tmp_path, audit=0)
    found = report.summary()["kills"]
    assert not found["complete"]
    assert [one["alone"] for one in found["attacks"].values()] == [None, None]
    assert list(found["attacks"].values())[-1]["together"]["accuracy"] == report.upper
    rows = list(csv.DictReader(io.StringIO((tmp_path / "kills.csv").read_text())))
    assert {row["guess()"] for row in rows} == {"", "0", "1"}


def test_classes_have_intervals(tmp_path):
    report = run(tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "classes.csv").read_text())))
    for group, row in zip(report.summary()["classes"], rows, strict=True):
        mine = [e for e in report.examples if e.label == group["label"]]
        kept = {
            "lower": sum(e.status == "certified" for e in mine),
            "upper": sum(e.status not in ("wrong", "attacked") for e in mine),
            "clean": sum(e.correct for e in mine),
        }
        for name, count in kept.items():
            assert group[name] == float(row[name]) == count / len(mine)
            assert tuple(group["intervals"][name]) == clopper_pearson(count, len(mine))
            assert float(row[f"{name}_low"]) == group["intervals"][name][0]
    assert sum(int(row["examples"]) for row in rows) == 80


def test_a_report_from_before_these_tables_is_read(tmp_path):
    """A report without flags, rejections, reuse and minimal attacks is that of an older version."""
    import json

    report = run(tmp_path)
    record = json.loads((tmp_path / "report.json").read_text())
    for name in ("flags", "kills"):
        del record[name]
    for name in ("reuse", "minimal"):
        del record["setting"][name]
    for example in record["table"]:
        for attempt in example["attempts"]:
            del attempt["rejected"], attempt["reused"]
        for verdict in example["verdicts"]:
            del verdict["reused"]
    (tmp_path / "report.json").write_bytes(sealed_json(record))
    assert inradius.Report.load(tmp_path) == report
