"""Data-parallel training: two processes take the steps that one takes."""

import os
import subprocess
import sys

import pytest
import torch

import inradius
from inradius.training.checkpoint import load_weights

SCRIPT = """
import os, sys, torch, inradius
torch.manual_seed(int(os.environ.get("RANK", 0)))
model = inradius.make("mlp(64, 16, 10)")
inradius.train("certified()", model, "digits(split='train')", "linf(eps=0.05)", folder=sys.argv[1], epochs=2, device="cpu")
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, folder in (([sys.executable], "one"), (launch, "two")):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*start, str(script), str(tmp_path / folder)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    one, two = (inradius.make("mlp(64, 16, 10)") for _ in range(2))
    load_weights(one, tmp_path / "one" / "last.safetensors")
    load_weights(two, tmp_path / "two" / "last.safetensors")
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
