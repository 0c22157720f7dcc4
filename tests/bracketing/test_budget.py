"""A limit of time: the cheap methods come first, the rest is told, and more time goes on from there."""

import attrs
import pytest
from bracket_toys import Corner, Exact, run

import inradius
from inradius.arguments import seconds_of
from inradius.bracketing import budget as budgets
from inradius.bracketing import run as runs
from inradius.bracketing.budget import Budget
from inradius.cli import run as program

CLOCK = {"now": 0.0}
MET = []


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only the toys move."""
    CLOCK["now"] = 0.0
    MET.clear()
    monkeypatch.setattr(budgets.time, "monotonic", lambda: CLOCK["now"])
    monkeypatch.setattr(runs.time, "perf_counter", lambda: CLOCK["now"])


@attrs.frozen(kw_only=True)
class Slow(Exact):
    """The exact certifier, which takes ``seconds`` for an example."""

    seconds: float

    def lower_bound(self, model, x, threat, prop, rng):
        CLOCK["now"] += self.seconds * len(x)
        MET.append((self.seconds, len(x)))
        return super().lower_bound(model, x, threat, prop, rng)


@attrs.frozen(kw_only=True)
class SlowCorner(Corner):
    seconds: float

    def perturb(self, batch, *, observe=None):
        CLOCK["now"] += self.seconds * len(batch.x)
        MET.append((self.seconds, len(batch.x)))
        return super().perturb(batch, observe=observe)


# the dear one is listed first
ASKED = {
    "attacks": [SlowCorner(seconds=0.1)],
    "certifiers": [Slow(loss=0.05, seconds=10.0), Slow(loss=0.3, seconds=0.01)],
}


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("1.5h", 5400), (7, 7), (0.5, 0.5), (None, None)]
)
def test_times_are_read(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize("given", ["", "m", "0", "-3s", "ten", "10d", "inf", "nan", 0, -1, True, float("nan"), [3]])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(inradius.InputError, match="is no time; allowed are seconds"):
        seconds_of(given)


def test_cheap_methods_come_first_and_the_rest_is_told(tmp_path):
    report = run(tmp_path, time=60, **ASKED)
    met = {spec: entry["tried"] for spec, entry in report.summary()["certifiers"].items()}
    cheap, dear = "slow(loss=0.3, seconds=0.01)", "slow(loss=0.05, seconds=10.0)"
    # everything undecided meets the cheap one, and few the dear one
    assert 2 <= met[dear] < 8 < 50 < met[cheap]
    assert CLOCK["now"] < 60 + 10
    order = [seconds for seconds, count in MET if count > 1]
    assert order == sorted(order)
    (told,) = (flag for flag in report.flags if "was up" in flag)
    missed = sum(e.status == "undecided" and dear not in {v.certifier for v in e.verdicts} for e in report.examples)
    assert (
        f"the time of 60 s was up before every method had met every undecided example (not met: {dear} {missed})"
        in told
    )


def test_more_time_goes_on_and_enough_time_gives_all(tmp_path):
    whole = run(tmp_path / "whole", **ASKED)
    short = run(tmp_path / "cut", time=60, **ASKED)
    assert short.setting.key != whole.setting.key
    assert short.lower <= whole.lower <= whole.upper <= short.upper
    met = {(e.row, v.certifier) for e in short.examples for v in e.verdicts}
    MET.clear()
    more = run(tmp_path / "cut", time="1h", **ASKED)
    assert more.setting.key == short.setting.key
    assert not [flag for flag in more.flags if "was up" in flag]
    assert [e.status for e in more.examples] == [e.status for e in whole.examples]
    assert {(e.row, v.certifier) for e in more.examples for v in e.verdicts} >= met
    # nothing is asked twice, the audit included
    assert sum(count for seconds, count in MET if seconds == 10) == sum(
        (e.row, v.certifier) not in met and "10.0" in v.certifier for e in more.examples for v in e.verdicts
    )


def test_a_time_that_is_up_at_once_leaves_the_clean_accuracy(tmp_path, monkeypatch):
    monkeypatch.setattr(Budget, "left", 0.0)
    report = run(tmp_path, time=1, **ASKED)
    assert report.lower == 0
    assert report.upper == report.clean > 0
    assert not MET
    assert report.evidence()["conditions"]["time"] == 1
    assert "was up" in report.evidence()["doubts"][-1]


def test_a_batch_takes_half_of_the_time_that_is_left():
    budget = Budget.of(100)
    assert budget.size("attack 0", 128) == 1
    budget.costs["attack 0"] = 2.0
    assert budget.size("attack 0", 128) == 25
    assert budget.size("attack 0", 16) == 16
    CLOCK["now"] = 99.5
    assert budget.size("attack 0", 128) == 1
    CLOCK["now"] = 100.0
    assert budget.size("attack 0", 128) == 0


def test_the_command_line_has_the_limit(tmp_path, monkeypatch, capsys):
    from cli_cases import complaint, write

    monkeypatch.chdir(tmp_path)
    asked = [
        "bracket",
        *write(tmp_path),
        "--threat",
        "linf(eps=0.05)",
        "--count",
        "9",
        "--attack",
        "fgsm",
        "--certifier",
        "interval",
    ]
    assert program([*asked, "--time", "10m", "--out", "run"]) == 0
    report = inradius.Report.load("run")
    assert report.setting.time == 600
    assert "--time 600" in report.command
    assert "'soon' is no time" in complaint(capsys, *asked, "--time", "soon")
