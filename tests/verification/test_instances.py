"""A file of instances: each is answered once, a killed run goes on, and two processes give the table of one."""

import gzip
import json
import os
import subprocess
import sys

import pytest
from verify_cases import box_text, network, onnx_file

from inradius import InputError
from inradius.cli import run
from inradius.verification.instances import InstanceRun, read_instances
from inradius.verification.result import VerificationResult
from inradius.verification.verify_file import VerifyOptions

OPTIONS = VerifyOptions(certifier="crown")


@pytest.fixture
def folder(tmp_path):
    """Networks, properties and their list, as competitions lay them out."""
    home = tmp_path / "bench"
    (home / "onnx").mkdir(parents=True)
    (home / "vnnlib").mkdir()
    for seed in range(2):
        onnx_file(network(seed), home / "onnx" / f"net{seed}.onnx")
    texts = {"low": "(assert (<= Y_0 -1000))", "high": "(assert (<= Y_0 1000))"}
    for name, text in texts.items():
        (home / "vnnlib" / f"{name}.vnnlib").write_text(box_text((0, 0), (1, 1)) + text)
    packed = home / "vnnlib" / "low.vnnlib"
    (home / "vnnlib" / "packed.vnnlib.gz").write_bytes(gzip.compress(packed.read_bytes()))
    lines = [f"onnx/net{seed}.onnx,vnnlib/{name}.vnnlib,60" for seed in range(2) for name in ("low", "high", "packed")]
    (home / "instances.csv").write_text("\n".join(lines) + "\n")
    return home


def table(text):
    return [line.split() for line in text.splitlines()]


def test_each_instance_has_its_answer_and_two_processes_give_the_same_table(folder, tmp_path, capsys):
    asked = ["verify", "--instances", str(folder / "instances.csv"), "--certifier", "crown", "--out"]
    assert run([*asked, str(tmp_path / "one")]) == 0
    printed = capsys.readouterr()
    expected = [["unsat", "float"], ["sat"], ["unsat", "float"]] * 2
    assert [row[2:] for row in table(printed.out)[1:]] == expected
    assert "4 unsat, 2 sat" in printed.err
    program = "import sys; from inradius.cli import run; sys.exit(run(sys.argv[1:]))"
    (tmp_path / "program.py").write_text(program)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = subprocess.run(
        [*launch, str(tmp_path / "program.py"), *asked, str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert two.returncode == 0, two.stderr
    assert table(two.stdout) == table(printed.out)
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert names[0] == names[1]


def test_answers_are_kept_and_a_fresh_run_looks_again(folder, tmp_path):
    calls = []

    def verify(net, prop, options):
        calls.append((net.name, prop.name, options.timeout))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return VerificationResult("unknown", bound=-1.0, seconds=1.0)

    asked = InstanceRun(folder / "instances.csv", tmp_path / "out", OPTIONS, verify=verify)
    with pytest.raises(KeyboardInterrupt):
        list(asked.answers())
    answers = list(asked.answers())
    assert [answer.status for answer in answers] == ["unknown"] * 6
    # low and packed.gz are different files of one property, and the third call was stopped
    assert calls[:3] == [("net0.onnx", f"{name}", 60.0) for name in ("low.vnnlib", "high.vnnlib", "packed.vnnlib.gz")]
    assert len(calls) == 7
    list(asked.answers())
    assert len(calls) == 7
    list(InstanceRun(folder / "instances.csv", tmp_path / "out", OPTIONS, fresh=True, verify=verify).answers())
    assert len(calls) == 13
    other = VerifyOptions(certifier="crown", claim="real")
    list(InstanceRun(folder / "instances.csv", tmp_path / "out", other, verify=verify).answers())
    assert len(calls) == 19


def test_a_network_that_changes_is_a_new_question(folder, tmp_path):
    calls = []

    def verify(net, prop, options):
        calls.append(net.name)
        return VerificationResult("timeout")

    asked = InstanceRun(folder / "instances.csv", tmp_path / "out", OPTIONS, verify=verify)
    list(asked.answers())
    onnx_file(network(7), folder / "onnx" / "net0.onnx")
    list(asked.answers())
    assert calls == ["net0.onnx"] * 3 + ["net1.onnx"] * 3 + ["net0.onnx"] * 3


def test_an_answer_that_is_damaged_is_refused(folder, tmp_path):
    asked = InstanceRun(
        folder / "instances.csv", tmp_path / "out", OPTIONS, verify=lambda *_: VerificationResult("timeout")
    )
    list(asked.answers())
    path = next((tmp_path / "out").glob("*.json"))
    kept = json.loads(path.read_text())
    assert kept["status"] == "timeout"
    path.write_text(path.read_text().replace("timeout\\n", "unsat\\n"))
    with pytest.raises(InputError, match="damaged"):
        list(asked.answers())


def test_an_instance_that_cannot_be_read_is_an_error_among_answers(folder, tmp_path, capsys):
    (folder / "vnnlib" / "high.vnnlib").write_text("(assert")
    (folder / "onnx" / "net1.onnx").unlink()
    code = run(
        ["verify", "--instances", str(folder / "instances.csv"), "--certifier", "crown", "--out", str(tmp_path / "out")]
    )
    printed = capsys.readouterr()
    assert code == 2
    assert [row[2] for row in table(printed.out)[1:]] == ["unsat", "error", "unsat", "error", "error", "error"]
    assert "high.vnnlib: line 1: the command has no end" in printed.err
    assert "net1.onnx" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    "line", ["a.onnx,b.vnnlib", "a.onnx,b.vnnlib,soon", "a.onnx,b.vnnlib,-1", "a,b,1,2", '"a', "a,b,nan"]
)
def test_other_lines_are_refused_in_a_sentence(line, tmp_path):
    path = tmp_path / "instances.csv"
    path.write_text(f"a.onnx,b.vnnlib,1\n\n{line}\n")
    with pytest.raises(InputError, match=r"instances|line 3") as error:
        read_instances(path)
    assert "\n" not in str(error.value)


def test_a_file_without_instances_is_refused(tmp_path):
    (tmp_path / "instances.csv").write_text("\n \n")
    with pytest.raises(InputError, match="no instances"):
        read_instances(tmp_path / "instances.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_instances(tmp_path / "missing.csv")
