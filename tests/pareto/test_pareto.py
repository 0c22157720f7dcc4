"""Fronts and areas by their definitions, and points that are kept, resumed and refused."""

import json

import attrs
import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

import inradius
from inradius import Dataset, InputError, SpecError, TradeOff
from inradius.cli import run
from inradius.pareto import pareto as module
from inradius.pareto.methods import METHODS, method_of
from inradius.pareto.point import Point, front, hypervolume, mean_and_deviation

shares = st.integers(0, 8).map(lambda number: number / 8)


def point(clean, certified, **changes):
    known = {"method": "certified", "dial": 0.5, "scale": 1.0, "seed": 0, "spec": "certified()", "examples": 8}
    return Point(**known | {"seconds": 0.0, "folder": "points/a"} | changes, clean=clean, certified=certified)


points = st.lists(st.builds(point, shares, shares), max_size=8)


@given(points)
def test_a_front_is_what_no_point_dominates(given_points):
    found = front(given_points)
    places = [(p.clean, p.certified) for p in given_points]
    best = {(a, b) for a, b in places if not any(c >= a and d >= b and (c, d) != (a, b) for c, d in places)}
    assert {(p.clean, p.certified) for p in found} == best
    assert len(found) == len(best)
    assert [p.clean for p in found] == sorted(p.clean for p in found)


@given(points)
def test_the_area_is_that_of_the_cells_below_a_point(given_points):
    cells = sum(
        any(p.clean * 8 > column and p.certified * 8 > row for p in given_points)
        for column in range(8)
        for row in range(8)
    )
    assert hypervolume(given_points) == pytest.approx(cells / 64)


def test_means_and_deviations():
    assert mean_and_deviation([0.5]) == (0.5, 0.0)
    assert mean_and_deviation([1.0, 2.0, 3.0]) == (2.0, 1.0)
    with pytest.raises(InputError, match="at least one"):
        mean_and_deviation([])


def test_every_method_has_five_dials_that_make_its_defense():
    for name, method in METHODS.items():
        assert len(method.dials) >= 5
        for dial in method.dials:
            assert str(inradius.make(method.spec(dial), inradius.Defense)).startswith(name)


def blobs(count=60):
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    inputs = 0.5 + 0.25 * torch.eye(3)[labels] + 0.05 * torch.randn(count, 3, generator=rng)
    return Dataset.of(inputs.clamp(0, 1), labels, name="blobs")


QUICK = {"epochs": 8, "batch_size": 20, "lr": 0.02, "device": "cpu"}


def asked(folder, methods=("certified", "sabr(small={dial})"), **changes):
    known = {"dials": (0.2, 0.8), "judged_on": blobs(30), "threat": "linf(eps=0.02)", "data": blobs()}
    return inradius.pareto(methods, "mlp(3, 8, 3)", folder=folder, **known | QUICK | changes)


def test_a_trade_off_has_a_point_for_each_setting_and_is_kept(tmp_path):
    seen = []
    found = asked(tmp_path, scales=(1.0, 1.5), seeds=2, show=seen.append)
    assert len(found.points) == 2 * 2 * 2 * 2 == len(seen)
    assert found.methods == ("certified", "sabr(small={dial})")
    assert {p.spec for p in found.points if p.method == "certified"} == {"certified(kappa=0.2)", "certified(kappa=0.8)"}
    assert all(0 <= p.certified <= p.clean <= 1 for p in found.points)
    assert max(p.certified for p in found.points) > 0.5
    assert TradeOff.load(tmp_path / "pareto.json") == found
    held = json.loads((tmp_path / "pareto.json").read_text())
    mean, deviation = found.hypervolume("certified")
    assert held["hypervolume"]["certified"] == {"mean": mean, "deviation": deviation}
    each = [hypervolume(p for p in found.points if p.method == "certified" and p.seed == seed) for seed in (0, 1)]
    assert mean == pytest.approx(sum(each) / 2)


def test_shares_are_those_of_the_network_and_the_certifier(tmp_path):
    found = asked(tmp_path, ("certified",), dials=(0.5,), certifier="interval()", count=25)
    (one,) = found.points
    data = blobs(30).take(25)
    model = inradius.load_model("mlp(3, 8, 3)", tmp_path / one.folder / "training" / "best.safetensors")
    right = model(data.inputs).argmax(1) == data.labels
    proved = inradius.make("interval()")(model, data.inputs, data.labels, inradius.make("linf(eps=0.02)")).counted()
    assert (one.examples, one.clean) == (25, pytest.approx(float(right.float().mean())))
    assert one.certified == pytest.approx(float((right & proved).float().mean()))


def test_a_stopped_call_goes_on_and_trains_nothing_twice(tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    trained = []
    whole = asked(tmp_path / "whole")
    known = module.train

    def watched(defense, *args, **kwargs):
        if len(trained) == 2:
            raise Stop
        trained.append(str(defense))
        return known(defense, *args, **kwargs)

    monkeypatch.setattr(module, "train", watched)
    with pytest.raises(Stop):
        asked(tmp_path / "part")
    trained.append("stopped")
    found = asked(tmp_path / "part")
    assert trained[3:] == [p.spec for p in found.points[2:]]
    same = [attrs.evolve(p, seconds=0.0) for p in whole.points]
    assert [attrs.evolve(p, seconds=0.0) for p in found.points] == same


def test_points_of_another_question_are_refused(tmp_path):
    asked(tmp_path, ("certified",), dials=(0.5,))
    with pytest.raises(InputError, match=r"threat=.*eps=0\.02.* where .*eps=0\.03.* is asked for\)"):
        asked(tmp_path, ("certified",), dials=(0.5,), threat="linf(eps=0.03)")


@pytest.mark.parametrize(
    "threat",
    [
        "linf(eps=0.02)",
        "l2(eps=0.05)",
        "wasserstein(eps=0.02)",
        "patch(size=1, eps=0.1)",
        "union(linf(eps=0.02), l2(eps=0.05))",
    ],
)
def test_any_set_has_a_trade_off(tmp_path, threat):
    data = blobs()
    data = attrs.evolve(data, inputs=data.inputs.view(-1, 1, 1, 3))
    options = {"dials": (0.5,), "judged_on": data.take(12), "threat": threat, "data": data}
    found = inradius.pareto(("certified",), "mlp(3, 8, 3)", folder=tmp_path, **options | QUICK | {"epochs": 1})
    assert len(found.points) == 1


def test_the_answers_of_a_cascade_are_its_certificates(tmp_path):
    (one,) = asked(tmp_path, ("network_cascade",), dials=(0.5,)).points
    assert one.certified == one.clean > 0


def test_the_best_at_a_clean_accuracy():
    rows = [point(0.9, 0.5), point(0.95, 0.4), point(0.99, 0.1), point(0.896, 0.6)]
    found = TradeOff(points=tuple(rows), setting={})
    assert found.at_clean(0.9) == rows[3]
    assert found.at_clean(0.9, tolerance=0.0) == rows[0]
    assert found.at_clean(1.0) is None


def test_the_table_marks_fronts_and_has_areas(figures, tmp_path):
    rows = [point(0.9, 0.5), point(0.8, 0.4), point(0.8, 0.6, method="sabr"), point(0.8, 0.5, method="sabr", seed=1)]
    found = TradeOff(points=tuple(rows), setting={})
    text = found.to_markdown()
    assert text.count("✓") == 2
    assert "| `certified` | 0.4500 | 1 |" in text
    assert "| `sabr` | 0.4400 ± 0.0566 | 2 |" in text
    found.plot(tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"methods": ("trades",)},
            InputError,
            "'trades' is no method of certified training; allowed are certified, crown_ibp",
        ),
        ({"methods": ("sabr(small={dial})",), "dials": ()}, InputError, "has a dial of its own and no values"),
        ({"methods": ()}, InputError, "no methods are given"),
        ({"seeds": 0}, InputError, "seeds=0 is not allowed"),
        ({"scales": (0.0,)}, InputError, "scales=.* are not allowed"),
        ({"dials": (2.0,)}, SpecError, "kappa=2.0"),
        ({"count": 3, "judged_on": blobs(0)}, InputError, "has no examples"),
    ],
)
def test_a_wrong_question_is_told_before_any_training(tmp_path, changes, error, message):
    with pytest.raises(error, match=message) as caught:
        asked(tmp_path, **changes)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("points/*"))


def test_the_command_writes_table_file_and_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["pareto", "--method", "certified", "--dial", "0.5", "--dial", "0.9", "--model", "mlp(64, 16, 10)"]
    command += [
        "--data",
        "digits(split='train')",
        "--judged-on",
        "digits",
        "--count",
        "40",
        "--threat",
        "linf(eps=0.02)",
    ]
    status = run([*command, "--epochs", "1", "--out", "front"])
    out = capsys.readouterr().out
    assert status in (0, None), out
    assert out.count("clean ") >= 2
    assert "| `certified` | 0.5 |" in out
    assert len(TradeOff.load("front/pareto.json").points) == 2
    assert (tmp_path / "front" / "pareto.md").read_text("utf-8").startswith("| method |")


def test_names_of_methods():
    assert method_of("certified", ()).dials == METHODS["certified"].dials
    assert method_of("sabr", (1, 0.5)).dials == (1.0, 0.5)
    assert method_of("certified(crown(), kappa={dial})", (0.25,)).spec(0.25) == "certified(crown(), kappa=0.25)"
