"""Evidence: it follows its schema, says what each number claims, and is the same for the same run."""

import copy
import hashlib
import json
import shlex
from html.parser import HTMLParser

import attrs
import pytest
import torch
from bracket_toys import Corner, Cube, Exact, Guess, Liar, Refuter, cloud, linear
from cli_cases import complaint, write

import inradius
from inradius.cli import command_line, run
from inradius.cli.app import COMMANDS
from inradius.report.evidence.page import render
from inradius.report.evidence.record import schema
from inradius.report.evidence.seeds import seeds_of

METHODS = {"attacks": [Guess(), Corner()], "certifiers": [Exact(loss=0.3), Exact(loss=0.05)]}


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="evidence is validated with the extra dev")
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema())
    return kind(schema())


def bracket(folder, **options):
    return inradius.bracket(linear(), cloud(), Cube(eps=0.2), folder=folder, **{**METHODS, **options})


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return bracket(tmp_path_factory.mktemp("run"), model_name="a <linear> model")


def timeless(record):
    return {name: value for name, value in record.items() if name != "times"}


CASES = {
    "whole": {},
    "no attack": {"attacks": []},
    "no certifier": {"certifiers": []},
    "a chance of error": {"certifiers": [Liar(doubt=0.01)]},
    "witnesses": {"attacks": [], "certifiers": [Refuter()]},
    "everything": {"exhaustive": True, "audit": 1, "seed": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_evidence_follows_its_schema_and_is_kept_by_a_file(case, validator, tmp_path):
    report = bracket(tmp_path, **CASES[case])
    declared = {"certified": 0.2, "attacked": 1, "clean": 0}
    record = report.evidence(declared)
    validator.validate(record)
    assert report.save_evidence(tmp_path, declared) == tmp_path
    kept = json.loads((tmp_path / "evidence.json").read_text("utf-8"), parse_constant=pytest.fail)
    validator.validate(kept)
    assert {name: value for name, value in kept.items() if name != "inradius_sha256"} == record
    assert inradius.Report.load(tmp_path).evidence(declared) == record


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("hashes"),
        lambda record: record["results"]["lower"].pop("claim"),
        lambda record: record["results"]["upper"].update(claim="float"),
        lambda record: record["results"]["lower"].update(value=1.5),
        lambda record: record["hashes"].update(data="0"),
        lambda record: record.update(more=1),
        lambda record: record["examples"][0].update(status="fine"),
    ],
)
def test_the_schema_refuses_what_is_no_evidence(damage, report, validator):
    record = copy.deepcopy(report.evidence())
    damage(record)
    assert not validator.is_valid(record)


def test_labels_that_are_no_classes_and_models_that_are_random_have_evidence(validator, tmp_path):
    data = inradius.Dataset.of(torch.zeros(4, 2), torch.zeros(4, 1), bounds=None, classes=False)
    outcome = "regression(tolerance=0.5)"
    report = inradius.bracket(
        torch.nn.Linear(2, 1),
        data,
        "linf(eps=0.1)",
        attacks="fgsm",
        certifiers="interval",
        outcome=outcome,
        folder=tmp_path,
    )
    record = report.evidence()
    validator.validate(record)
    assert record["classes"] == []
    assert record["conditions"]["outcome"].startswith("regression(")
    voted = attrs.evolve(report, setting=attrs.evolve(report.setting, votes=9))
    validator.validate(voted.evidence())
    assert voted.evidence()["results"]["clean"]["method"] == "Clopper-Pearson with votes"


def test_every_number_says_what_it_claims(report):
    record = report.evidence({"certified": 0.2})
    results = record["results"]
    for name in ("lower", "upper", "clean"):
        found = results[name]
        assert found["value"] == getattr(report, name) == found["count"] / found["total"]
        assert found["interval"] == list(report.intervals[name])
    assert [results[name]["claim"] for name in ("lower", "upper", "clean")] == ["float", "measured", "measured"]
    assert results["robust"]["interval"] == [report.intervals["lower"][0], report.intervals["upper"][1]]
    assert results["lower"]["levels"] == {"float": report.counts["certified"]}
    tables = [results["counts"], record["audit"], *record["attacks"], *record["declared"]]
    tables += [each[name] for each in record["classes"] for name in ("lower", "upper", "clean")]
    assert {table["claim"] for table in tables} <= record["claims"].keys()
    certificates = [each["certificate"] for each in record["examples"] if each["certificate"]]
    assert {each["claim"] for each in certificates} == {"float"}
    assert sum(each["counted"] for each in certificates) >= report.counts["certified"]


def test_a_certified_accuracy_claims_no_more_than_its_weakest_certificate(tmp_path):
    report = bracket(tmp_path, attacks=[], certifiers=[Exact(loss=0.3), Liar(doubt=0.01)])
    lower = report.evidence()["results"]["lower"]
    proved = sum(each.status == "certified" and each.certified_by == "exact(loss=0.3)" for each in report.examples)
    assert 0 < proved < report.counts["certified"]
    assert lower["claim"] == "probabilistic"
    assert lower["levels"] == {"float": proved, "probabilistic": report.counts["certified"] - proved}
    # the chance that any is wrong is at most the sum of the chances
    assert lower["failure_probability"] == pytest.approx(min(1, 0.01 * lower["levels"]["probabilistic"]))


@pytest.mark.parametrize(
    ("threshold", "met", "sure"), [(0.0, True, True), (1.0, False, False), ("value", True, False), ("low", True, True)]
)
def test_a_declared_accuracy_is_compared_with_what_was_found(report, threshold, met, sure):
    threshold = {"value": report.upper, "low": report.intervals["upper"][0]}.get(threshold, threshold)
    (found,) = report.evidence({"attacked": threshold})["declared"]
    assert (found["threshold"], found["value"], found["bounds"]) == (threshold, report.upper, "above")
    assert (found["met"], found["met_by_interval"]) == (met, sure)


@pytest.mark.parametrize(
    "declared", [{"robust": 0.5}, {"clean": 1.5}, {"clean": "0.5"}, {"clean": True}, {"clean": float("nan")}]
)
def test_what_cannot_be_declared_is_refused(report, declared):
    with pytest.raises(inradius.InputError, match=r"can be declared|between 0 and 1"):
        report.evidence(declared)


def test_equal_runs_give_equal_evidence_and_another_run_gives_another(report, tmp_path):
    again = bracket(tmp_path / "again", model_name="a <linear> model", batch_size=7)
    assert timeless(again.evidence()) == timeless(report.evidence())
    other = bracket(tmp_path / "other", seed=1).evidence()
    assert other["sha256"] != report.evidence()["sha256"]
    assert other["hashes"]["weights"] == report.evidence()["hashes"]["weights"]


def test_the_hash_is_that_of_all_but_times(report):
    record = report.evidence()
    kept = {name: value for name, value in record.items() if name not in ("sha256", "times")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    environment = json.dumps(record["environment"], sort_keys=True, separators=(",", ":")).encode()
    assert record["hashes"]["environment"] == hashlib.sha256(environment).hexdigest()
    assert record["environment"]["packages"]["torch"] == torch.__version__


def test_the_hash_of_weights_is_that_of_weights_alone():
    from inradius.models.load import weights_fingerprint

    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    wrapped = torch.nn.Sequential(one)
    assert weights_fingerprint(one) != weights_fingerprint(other)
    assert weights_fingerprint(wrapped) != weights_fingerprint(one)  # the names differ
    other.load_state_dict(one.state_dict())
    other.note = "an attribute is no weight"
    assert weights_fingerprint(one) == weights_fingerprint(other)


def test_perturbations_are_named_by_their_hash(report):
    broken = [each for each in report.evidence()["examples"] if each["status"] == "attacked"]
    assert len(broken) == report.counts["attacked"] > 0
    for each in broken:
        content = report.deltas[each["row"]].numpy().tobytes()
        assert each["measured"]["perturbation"] == hashlib.sha256(content).hexdigest()


def test_seeds_are_found_wherever_a_spec_has_them():
    assert seeds_of("restarts(attack=pgd(seed=4, steps=3), seed=2)") == [4, 2]
    assert seeds_of("worst(square(seed=1), (fgsm(), pgd(seed=5)))") == [1, 5]
    assert seeds_of("fgsm()") == []


def test_the_call_in_evidence_asks_the_same(report, register):
    register(threat_models=[Cube], attacks=[Guess, Corner], certifiers=[Exact])
    repeat = report.evidence()["repeat"]
    assert repeat["language"] == "python"
    again = eval(repeat["command"], {"inradius": inradius, "model": linear(), "data": cloud()})
    assert again.setting.key == report.setting.key
    assert again.examples == report.examples


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [*write(tmp_path), "--threat", "linf(eps=0.05)", "--count", "10"]


ASKED = {
    "attack": ["--attack", "pgd(steps=3, restarts=2)", "--attack", "fgsm", "--no-exhaustive"],
    "certify": ["--certifier", "interval", "--claim", "real", "--union", "hull"],
    "bracket": ["--attack", "pgd(steps=3)", "--certifier", "dual", "--seed", "5", "--audit", "0.5", "--exhaustive"],
}


@pytest.mark.parametrize("command", ASKED)
def test_the_command_in_evidence_asks_the_same(command, place, validator, capsys):
    assert run([command, *place, *ASKED[command], "--out", "one"]) == 0
    assert run(["evidence", "one"]) == 0
    one = json.loads((inradius.Report.load("one").folder / "evidence.json").read_text("utf-8"))
    validator.validate(one)
    program, *words = shlex.split(one["repeat"]["command"])
    assert (program, one["repeat"]["language"]) == ("inradius", "shell")
    assert run([*words, "--out", "other"]) == 0
    other = inradius.Report.load("other").evidence()
    assert {**other, "times": 0, "inradius_sha256": 0} == {**one, "times": 0, "inradius_sha256": 0}


def test_a_repeated_command_names_options_that_there_are():
    import inspect

    for name, own in command_line._OWN.items():
        assert set(own) <= inspect.signature(COMMANDS[name]).parameters.keys()


def test_a_demand_that_is_not_met_ends_with_1_and_is_written(place, capsys):
    assert run(["attack", *place, "--attack", "fgsm", "--out", "one"]) == 0
    assert run(["evidence", "one", "--declare", "attacked=0", "--declare", "clean=0", "--out", "two"]) == 0
    capsys.readouterr()
    assert run(["evidence", "one", "--declare", "certified=0.999", "--out", "two"]) == 1
    assert "not reached" in capsys.readouterr().out
    with open("two/evidence.json", encoding="utf-8") as file:
        assert json.load(file)["declared"][0]["met"] is False
    for wrong in (
        ["one", "--declare", "clean"],
        ["one", "--declare", "clean=x"],
        ["one", "--declare", "best=1"],
        [],
        ["none"],
    ):
        complaint(capsys, "evidence", *wrong)
    assert run(["evidence", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    # the run that is started again deletes its evidence as its own
    assert run(["evidence", "one"]) == 0
    assert run(["attack", *place, "--attack", "fgsm", "--out", "one", "--fresh"]) == 0


class Checker(HTMLParser):
    """Collects the tags and what they point at, and notices those that are not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.sources = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_no_one(report):
    record = report.evidence({"certified": 0.2, "clean": 1})
    page, checker = render(record), Checker()
    checker.feed(page)
    assert not checker.open
    assert not checker.sources
    assert not {"script", "link", "img"} & checker.seen
    assert not any(word in page for word in ("url(", "@import", "http", "$", "<linear>"))
    assert "@page" in page
    for text in (
        record["sha256"],
        record["hashes"]["weights"],
        f"{report.lower:.1%}",
        "a &lt;linear&gt; model",
        "signature",
    ):
        assert text in page
