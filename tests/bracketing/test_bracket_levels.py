"""Levels in the bracket: what counts is what was asked for, and what does not count is said."""

import json

import attrs
import numpy as np
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Guess, Liar, ShortCube, cloud, linear, run
from torch import nn

import inradius
from inradius import Bounds, Certifier, ContradictionError, Dataset, InputError
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.cli import run as command
from inradius.report import Report
from inradius.stored.checksum import sealed_json

ALONE = {"attacks": [], "audit": 0.0}


@attrs.frozen(kw_only=True)
class Paying(Exact):
    """The true minimum for a linear model at level "real"; at level "float" lower by ``cost``, which it states."""

    cost: float = 0.3

    def lower_bound(self, model, x, threat, prop, rng):
        bounds = super().lower_bound(model, x, threat, prop, rng)
        if current_certificate().claim == "real":
            return attrs.evolve(bounds, claim="real")
        cost = torch.full_like(bounds.value, self.cost)
        return attrs.evolve(bounds, value=bounds.value - cost, float_cost=cost)


@attrs.frozen(kw_only=True)
class Real(Exact):
    """The true minimum for a linear model, of which it says nothing but that it is a bound."""

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(super().lower_bound(model, x, threat, prop, rng).value)


@attrs.frozen(kw_only=True)
class Sure(Certifier):
    """Holds everything to be robust in every execution."""

    claim: str = "float"

    def lower_bound(self, model, x, threat, prop, rng):
        return Bounds(torch.full_like(prop.offsets, 0.375), error=torch.zeros_like(prop.offsets), claim=self.claim)


def certified(report):
    return {e.row for e in report.examples if e.status == "certified"}


def more(count):
    some, them = ("example is", "it") if count == 1 else ("examples are", "them")
    return f"{count} more {some} certified at level real (exact arithmetic on the stored weights); --claim real counts {them}"


def test_the_certified_accuracy_is_that_at_the_level_asked_for(tmp_path):
    known = certified(run(tmp_path / "exact", certifiers=[Exact()], **ALONE))
    less = certified(run(tmp_path / "less", certifiers=[Exact(loss=0.3)], **ALONE))
    strong = run(tmp_path / "float", certifiers=[Paying()], claim="float", **ALONE)
    weak = run(tmp_path / "real", certifiers=[Paying()], claim="real", **ALONE)
    assert less < known
    assert certified(strong) == less
    assert certified(weak) == known
    assert strong.lower == len(less) / 80
    # each example has its strongest level, whether it counts or not
    assert strong.claims == {"float": len(less), "real": len(known - less)}
    assert strong.uncounted == {"real": len(known - less)}
    assert (weak.claims, weak.uncounted) == ({"real": len(known)}, {})
    assert {e.row for e in strong.examples if e.claim == "real"} == known - less
    assert all(e.status == "undecided" and e.certified_by is None for e in strong.examples if e.claim == "real")
    assert strong.setting.key != weak.setting.key
    entry = strong.summary()["certifiers"][str(Paying())]
    assert (entry["certified"], entry["claims"]) == (len(less), strong.claims)


def test_a_certifier_that_can_only_say_real_is_not_left_out_without_a_word(tmp_path):
    known = certified(run(tmp_path / "exact", certifiers=[Exact()], **ALONE))
    report = run(tmp_path / "float", certifiers=[Real()], claim="float", **ALONE)
    assert (report.lower, report.uncounted) == (0.0, {"real": len(known)})
    said = f"{len(known)} more examples are certified at level real (exact arithmetic on the stored weights); claim='real' "
    assert said in report.to_html()
    assert "Level float was asked for (every floating-point execution)" in report.to_html()
    counted = run(tmp_path / "real", certifiers=[Real()], claim="real", **ALONE)
    assert certified(counted) == known
    assert "more examples" not in counted.to_html()


@pytest.mark.parametrize("claim", ["float", "real"])
def test_what_rests_on_chance_counts_at_both_levels_with_its_probability(tmp_path, claim):
    report = run(tmp_path, certifiers=[Exact(doubt=0.01)], claim=claim, **ALONE)
    assert report.claims == {"probabilistic": len(certified(report))}
    assert {e.verdict.failure_probability for e in report.examples if e.status == "certified"} == {0.01}
    solver = run(tmp_path / "solver", certifiers=[Sure(claim="solver")], claim=claim, accept_solver=True, **ALONE)
    assert set(solver.claims) == {"solver"}
    assert solver.lower == solver.clean


def test_the_strongest_level_of_several_certifiers_stands(tmp_path):
    certifiers = [Paying(), Liar(), Exact()]
    report = run(tmp_path, certifiers=certifiers, claim="real", exhaustive=True, **ALONE)
    known = certified(run(tmp_path / "exact", certifiers=[Exact()], **ALONE))
    for example in report.examples:
        if example.status == "certified":
            assert example.claim == ("float" if example.row in known else "probabilistic")
            assert example.certified_by == str(Exact() if example.row in known else Liar())
            assert (example.verdict.claim, example.verdict.counted) == (example.claim, True)


def test_what_is_proved_at_a_level_that_does_not_count_goes_on_to_other_methods(tmp_path):
    certifiers = [Real(), Exact(loss=0.1)]
    report = run(tmp_path, attacks=[Guess()], certifiers=certifiers, claim="float", audit=0.0)
    real = [e for e in report.examples if e.verdicts and e.verdicts[0].certified]
    assert all(len(e.verdicts) == 2 and e.attempts for e in real)
    assert certified(report) == certified(run(tmp_path / "one", certifiers=[Exact(loss=0.1)], claim="float", **ALONE))
    # and the proof that does not count is a proof: nothing that an attack finds may go below it
    options = {"data": cloud(400), "threat": ShortCube(eps=0.4), "attacks": [Corner()], "exhaustive": True}
    with pytest.raises(ContradictionError, match="confirmed in float64"):
        run(tmp_path / "short", certifiers=[Real()], claim="float", **options)


def test_levels_are_kept_with_the_report_and_read_back(tmp_path):
    report = run(tmp_path, attacks=[Corner()], certifiers=[Paying(), Exact(loss=0.5, doubt=0.1)], claim="float")
    loaded = Report.load(tmp_path)
    assert loaded == report
    assert (loaded.setting.claim, loaded.claims, loaded.uncounted) == ("float", report.claims, report.uncounted)
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["claim"], found["claims"], found["uncounted"]) == ("float", report.claims, report.uncounted)
    assert {verdict["claim"] for entry in found["table"] for verdict in entry["verdicts"]} >= {"float", "real"}
    assert run(tmp_path, attacks=[Corner()], certifiers=[Paying(), Exact(loss=0.5, doubt=0.1)], claim="float") == report
    with pytest.raises(InputError, match=r"it differs in .*claim"):
        run(tmp_path, attacks=[Corner()], certifiers=[Paying(), Exact(loss=0.5, doubt=0.1)], claim="real")


def test_a_saved_report_that_names_no_level_is_one_at_level_real(tmp_path):
    report = run(tmp_path, certifiers=[Real()], claim="real", **ALONE)
    record = json.loads((tmp_path / "report.json").read_text())
    del record["setting"]["claim"], record["claim"], record["uncounted"]
    for entry in record["table"]:
        for verdict in entry["verdicts"]:
            del verdict["claim"], verdict["accepted"]
    (tmp_path / "report.json").write_bytes(sealed_json(record))
    loaded = Report.load(tmp_path)
    assert loaded == report
    assert (loaded.setting.claim, loaded.claims, loaded.lower) == ("real", report.claims, report.lower)


def test_over_radii_certificates_are_reused_with_their_level(tmp_path):
    options = {"attacks": [Corner()], "certifiers": [Paying(cost=0.1)], "batch_size": 16, "claim": "float"}
    reports = inradius.bracket_curve(linear(), cloud(), Cube(eps=0.2), [0.5, 1.0], folder=tmp_path / "curve", **options)
    reused = [verdict for e in reports[0].examples for verdict in e.verdicts if verdict.reused]
    assert reused
    assert {(verdict.claim, verdict.accepted) for verdict in reused} == {("float", True)}
    alone = inradius.bracket(linear(), cloud(), Cube(eps=0.1), folder=tmp_path / "alone", **options)
    assert (reports[0].lower, reports[0].claims) == (alone.lower, alone.claims)


def test_a_report_at_another_level_lends_what_counts_here(tmp_path):
    options = {"attacks": [], "certifiers": [Paying()], "batch_size": 16}
    weak, strong = (
        inradius.bracket(linear(), cloud(), Cube(eps=0.2), folder=tmp_path / claim, claim=claim, **options)
        for claim in ("real", "float")
    )
    for known, lent in ((weak, 0), (strong, strong.claims["float"])):
        place = {"folder": tmp_path / f"curve {known.setting.claim}", "reports": {1.0: known}}
        (report,) = inradius.bracket_curve(linear(), cloud(), Cube(eps=0.2), [0.5], claim="float", **place, **options)
        assert sum(verdict.reused for e in report.examples for verdict in e.verdicts) == lent
        assert report.claims["float"] >= strong.claims["float"]
    place = {"folder": tmp_path / "back", "reports": {1.0: strong}}
    (report,) = inradius.bracket_curve(linear(), cloud(), Cube(eps=0.2), [0.5], claim="real", **place, **options)
    assert report.claims["float"] == strong.claims["float"]
    assert report.claims["real"] > 0
    assert not report.uncounted


class Coarse(nn.Module):
    """Two logits that differ by the input; single precision on the way loses the difference where ``large`` is."""

    def __init__(self, large):
        super().__init__()
        self.register_buffer("large", torch.tensor(large))

    def forward(self, x):
        first = (x[:, :1] + self.large) - self.large
        return torch.cat([first, -x[:, :1]], dim=1)


def question(large):
    x = torch.tensor([[0.5], [0.75]])
    return Coarse(large), Dataset.of(x, torch.zeros(2, dtype=torch.int64), bounds=None), Cube(eps=0.25)


def test_a_claim_about_executions_that_an_execution_refutes_stops_the_run(tmp_path):
    """The margin is 2x ≥ 0.5 in exact arithmetic; where 2²⁶ is added in between, the model computes x, which may be 0.25."""
    options = {"attacks": [Corner()], "audit": 1.0}
    calm = inradius.bracket(*question(0.0), certifiers=[Sure()], folder=tmp_path / "calm", claim="float", **options)
    assert calm.lower == 1.0
    with pytest.raises(ContradictionError, match="confirmed in a run of the model in its own type"):
        inradius.bracket(*question(2.0**26), certifiers=[Sure()], folder=tmp_path / "run", claim="float", **options)
    record = json.loads((tmp_path / "run" / "contradiction.json").read_text())
    assert (record["claim"], record["run"]) == ("float", "in a run of the model in its own type")
    assert record["margin"] == 0.25 < record["bound"] == 0.375
    # of the exact function it is true, and rounding explains what was seen
    weak = inradius.bracket(
        *question(2.0**26), certifiers=[Sure(claim="real")], folder=tmp_path / "weak", claim="real", **options
    )
    assert weak.conflicts == 0


@pytest.fixture
def asked(register, tmp_path, monkeypatch):
    """The command line's options for the toys' model and data, in single precision."""
    register(certifiers=[Paying])
    monkeypatch.chdir(tmp_path)
    source = "from bracket_toys import linear\nimport torch\n\ndef net():\n    return linear(torch.float32)\n"
    (tmp_path / "net.py").write_text(source)
    data = cloud(dtype=torch.float32)
    np.savez(tmp_path / "data.npz", inputs=data.inputs.numpy(), labels=data.labels.numpy())
    model = ["--model", f"{tmp_path / 'net.py'}:net", "--data", f"npz:{tmp_path / 'data.npz'}", "--count", "0"]
    return [*model, "--threat", "linf(eps=0.2, bounds=None)", "--certifier", "paying(cost=0.3)"]


def lines(capsys, *arguments, code=0):
    assert command([str(argument) for argument in arguments]) == code
    return capsys.readouterr()


@pytest.mark.parametrize("name", ["bracket", "certify"])
def test_the_command_line_asks_for_a_level_and_says_what_another_would_count(capsys, asked, tmp_path, name):
    given = [name, *asked, *(["--attack", "fgsm"] if name == "bracket" else [])]
    shares = {}
    for claim in ("float", "real"):
        out = lines(capsys, *given, "--claim", claim, "--out", tmp_path / claim).out.splitlines()
        found = json.loads((tmp_path / claim / "report.json").read_text())
        assert found["setting"]["claim"] == claim
        assert any(line.startswith(f"claim    {claim}, ") for line in out)
        left = found["uncounted"].get("real", 0)
        assert (more(left) in out) == (claim == "float")
        shares[claim] = found["lower"], found["claims"], left
    assert shares["float"][0] < shares["real"][0]
    assert shares["float"][1]["real"] == shares["float"][2] > 0
    assert sum(shares["float"][1].values()) == shares["real"][1]["real"]
    share = (shares["float"][0] + shares["real"][0]) / 2
    for claim, code in (("float", 1), ("real", 0)):
        lines(capsys, *given, "--claim", claim, "--out", tmp_path / claim, "--fail-under", share, code=code)


@pytest.mark.filterwarnings("default")
def test_radii_are_certified_at_the_level_asked_for(capsys, asked, tmp_path):
    radii = {}
    for claim in ("float", "real"):
        said = lines(capsys, "certify", *asked, "--claim", claim, "--out", tmp_path / claim, "--radius").err
        assert ("certified at level real" in said) == (claim == "float")
        rows = (tmp_path / claim / "radii.csv").read_text().splitlines()[1:]
        radii[claim] = sum(float(line.split(",")[2]) for line in rows)
    assert 0 < radii["float"] < radii["real"]


def test_a_level_that_cannot_be_asked_for_is_one_sentence(capsys, asked):
    said = lines(capsys, "certify", *asked, "--claim", "solver", code=2).err
    assert said.count("\n") == 1
    assert "'--claim'" in said
    assert "'float', 'real'" in said
    with pytest.raises(InputError, match=r"^claim='solver' is not allowed; allowed are 'float' and 'real'$"):
        run(None, claim="solver")
