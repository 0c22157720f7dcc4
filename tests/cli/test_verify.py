"""``inradius verify``: what it prints and writes, its exit codes, and its sentences."""

import gzip
import os
from fractions import Fraction

import pytest
import torch
from cli_cases import complaint
from torch import nn
from verify_cases import box_text, network, onnx_file
from vnnlib_reference import Reference, listed

from inradius.cli import run
from inradius.verification.vnnlib import files


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A network and the text of a box, in the current folder."""
    monkeypatch.chdir(tmp_path)
    onnx_file(network(), tmp_path / "net.onnx")

    def write(text, name="prop.vnnlib"):
        (tmp_path / name).write_text(box_text((0, 0), (1, 1)) + text)
        return ["verify", "net.onnx", name, "--certifier", "interval"]

    return write


def test_a_proved_property_is_unsat(asked, capsys, tmp_path):
    assert run([*asked("(assert (<= Y_0 -1000))"), "--out", "result.txt"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "unsat\n"
    assert "proved at level float; lowest bound" in printed.err
    assert (tmp_path / "result.txt").read_text() == "unsat\n"


def test_a_counterexample_is_printed_in_the_format_of_the_competition(asked, capsys, tmp_path):
    text = "(assert (>= Y_0 -1000)) (assert (<= X_1 0.3))"
    assert run([*asked(text), "--out", "result.txt"]) == 10
    printed = capsys.readouterr()
    assert printed.out == (tmp_path / "result.txt").read_text()
    first, rest = printed.out.split("\n", 1)
    assert first == "sat"
    (pairs,) = listed(rest)
    assert [name for name, _ in pairs] == ["X_0", "X_1", "Y_0", "Y_1"]
    numbers = [Fraction(value) for _, value in pairs]
    assert Reference((tmp_path / "prop.vnnlib").read_text()).unsafe(numbers[:2], numbers[2:])


def test_the_same_command_goes_on_with_a_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(9, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2)).eval()
    onnx_file(model, tmp_path / "net.onnx")
    low, high = ([side] * 9 for side in (-0.9, 0.9))
    (tmp_path / "prop.vnnlib").write_text(box_text(low, high) + "(assert (>= (- Y_0 Y_1) 0.6))")
    command = ["verify", "net.onnx", "prop.vnnlib", "--certifier", "branch_and_bound(domains=400)", "--timeout", "1"]
    code = run(command)
    assert code in (11, 12)
    (kept,) = (tmp_path / "inradius-runs").glob("verify-*.search")
    assert "goes on" not in capsys.readouterr().err
    before = kept.read_bytes()
    run(command)
    assert f"the search goes on from {kept.relative_to(tmp_path)}" in capsys.readouterr().err
    assert not kept.exists() or kept.read_bytes() != before
    run([*command, "--fresh"])
    assert "goes on" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ("X float32 [1, 2]", 0),
        ("X Real [1, 2]", 0),
        ("X float64 [1, 2]", 2),
        ("X float32 [2, 1, 1]", 0),
        ("X float32 [1, 3]", 2),
    ],
)
def test_inputs_are_declared_as_the_network_takes_them(declared, code, tmp_path, monkeypatch, capsys):
    pytest.importorskip("vnnlib")
    monkeypatch.chdir(tmp_path)
    onnx_file(network(), tmp_path / "net.onnx")
    name, kind, shape = declared.split(" ", 2)
    places = ["0, 0", "0, 1"] if shape.startswith("[1") else ["0, 0, 0", "1, 0, 0"]
    places += ["0, 2"] if shape == "[1, 3]" else []
    box = "".join(f"(assert (>= {name}[{place}] 0.0)) (assert (<= {name}[{place}] 1.0))\n" for place in places)
    text = (
        f"(vnnlib-version <2.0>)\n(declare-network N\n(declare-input {name} {kind} {shape})\n"
        f"(declare-output Y float32 [1, 2])\n)\n{box}(assert (<= Y[0, 0] -1000.0))\n"
    )
    (tmp_path / "prop.vnnlib").write_text(text)
    found = run(["verify", "net.onnx", "prop.vnnlib", "--certifier", "interval"])
    printed = capsys.readouterr()
    assert found == code, printed.err
    if code == 2:
        assert len(printed.err.strip().splitlines()) == 1


def test_the_search_for_other_weights_beside_the_file_is_not_gone_on_with(tmp_path, monkeypatch, capsys):
    import onnx

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    layers = [nn.Linear(9, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2)]
    onnx_file(nn.Sequential(*layers).eval(), tmp_path / "plain.onnx")
    stored = onnx.load("plain.onnx")
    onnx.save(stored, "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    low, high = ([side] * 9 for side in (-0.9, 0.9))
    (tmp_path / "prop.vnnlib").write_text(box_text(low, high) + "(assert (>= (- Y_0 Y_1) 0.6))")
    command = ["verify", "net.onnx", "prop.vnnlib", "--certifier", "branch_and_bound(domains=400)", "--timeout", "1"]
    assert run(command) in (11, 12)
    assert len(list((tmp_path / "inradius-runs").glob("verify-*.search"))) == 1
    content = bytearray((tmp_path / "net.bin").read_bytes())
    content[-1] ^= 1
    (tmp_path / "net.bin").write_bytes(bytes(content))
    capsys.readouterr()
    run(command)
    assert "goes on" not in capsys.readouterr().err


def test_what_neither_method_decides_is_unknown_or_a_timeout(asked, capsys):
    # an input that no float is, so that there is no witness, and no proof either
    open_ = "(assert (= X_0 0.1)) (assert (<= Y_0 1000))"
    assert run([*asked(open_), "--timeout", "0.01"]) == 12
    assert capsys.readouterr().out == "timeout\n"
    assert run([*asked(open_), "--timeout", "20"]) == 11
    assert capsys.readouterr().out == "unknown\n"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["missing.onnx", "prop.vnnlib"], "missing.onnx"),
        (["net.onnx", "missing.vnnlib"], "missing.vnnlib"),
        (["prop.vnnlib", "prop.vnnlib"], "prop.vnnlib"),
        (["net.onnx.gz", "prop.vnnlib"], "no ONNX file by its name"),
        (["net.onnx"], "no network and property"),
        ([], "no network and property"),
        (["net.onnx", "prop.vnnlib", "--instances", "a.csv"], "NET and --instances"),
        (["net.onnx", "prop.vnnlib", "--out", "."], "is a folder"),
        (["net.onnx", "prop.vnnlib", "--out", "prop.vnnlib/result.txt"], "cannot be written"),
        (["--instances", "a.csv"], "a.csv"),
        (["--instances", "prop.vnnlib", "--out", "prop.vnnlib/out"], "cannot be written"),
        (["net.onnx", "prop.vnnlib", "--timeout", "0"], "timeout=0"),
        (["net.onnx", "prop.vnnlib", "--certifier", "pgd"], "Certifier"),
        (["net.onnx", "prop.vnnlib", "--claim", "solver"], "claim"),
    ],
)
def test_wrong_arguments_are_one_sentence(asked, capsys, changed, told):
    asked("(assert (<= Y_0 0))")
    assert told in complaint(capsys, "verify", *changed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(assert (<= Y_0 0)", "prop.vnnlib: line 9: the command has no end"),
        ("(assert (>= X_0 2))", "no input meets the bounds"),
        ("(assert (<= (* Y_0 Y_0) 1))", "multiplies variables"),
        ("(declare-const X_2 Real)", "X_2 has no lower bound"),
    ],
)
def test_properties_that_are_not_read_are_one_sentence(asked, capsys, text, told):
    assert told in complaint(capsys, *asked(text))


def test_a_bomb_is_one_sentence(asked, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 1 << 20)
    asked("(assert (<= Y_0 0))")
    (tmp_path / "bomb.vnnlib.gz").write_bytes(gzip.compress(b" " * (1 << 22)))
    assert "unpacks to more than 1 MiB" in complaint(capsys, "verify", "net.onnx", "bomb.vnnlib.gz")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_is_one_sentence(asked, capsys, tmp_path):
    (tmp_path / "kept").mkdir(mode=0o500)
    assert "cannot be written" in complaint(capsys, *asked("(assert (<= Y_0 -1000))"), "--out", "kept/result.txt")
