"""Several processes share a run: what they find is what one finds, and a run may change hands."""

import os
import subprocess
import sys
from pathlib import Path

import bracket_toys
import torch

import inradius
from inradius.bracketing.store import RESULTS
from inradius.stored.reading import records

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import bracket_toys, inradius
from pathlib import Path

folder = Path(sys.argv[2])
for name in ("whole", "resumed"):
    report = bracket_toys.run(folder / name, batch_size=7)
    (folder / f"{name}-{__import__('os').environ['RANK']}").write_text(str((report.lower, len(report.deltas))))
bracket_toys.run(folder / "told", attacks=[], certifiers=[bracket_toys.Refuter()], batch_size=7)
try:
    bracket_toys.run(folder / "whole", seed=1)
except inradius.InputError as error:
    assert "holds another run" in str(error)
else:
    raise AssertionError
try:
    bracket_toys.run(folder / "nowhere", model=bracket_toys.linear(seed=int(__import__("os").environ["RANK"])))
except inradius.InputError as error:
    assert "different models" in str(error)
else:
    raise AssertionError
"""


def lines(folder):
    """The records of a run without its times, in their order."""
    return [record | {"seconds": 0} for record in records(folder / RESULTS)]


def test_two_processes_find_what_one_finds_and_go_on_where_one_stopped(tmp_path):
    one = bracket_toys.run(tmp_path / "one", batch_size=7)
    bracket_toys.run(tmp_path / "resumed", batch_size=5)
    results = tmp_path / "resumed" / RESULTS
    content = results.read_bytes()
    results.write_bytes(content[: int(0.6 * len(content))])
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, tmp_path / "script.py", str(Path(bracket_toys.__file__).parent), str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = {"attacks": [], "certifiers": [bracket_toys.Refuter()], "batch_size": 7}
    assert inradius.Report.load(tmp_path / "told") == bracket_toys.run(tmp_path / "told by one", **told)
    assert lines(tmp_path / "told") == lines(tmp_path / "told by one")
    whole, resumed = (inradius.Report.load(tmp_path / name) for name in ("whole", "resumed"))
    assert whole == one
    assert resumed.examples == one.examples
    # so is the evidence, but for times
    assert {**whole.evidence(), "times": 0} == {**one.evidence(), "times": 0} == {**resumed.evidence(), "times": 0}
    # the batches are those of one process, so that the records are too, whoever made them
    assert lines(tmp_path / "whole") == lines(tmp_path / "one")
    assert all(torch.equal(whole.deltas[row], delta) for row, delta in one.deltas.items())
    # every process gets the report
    for name in ("whole", "resumed"):
        assert {(tmp_path / f"{name}-{rank}").read_text() for rank in range(2)} == {str((one.lower, len(one.deltas)))}
