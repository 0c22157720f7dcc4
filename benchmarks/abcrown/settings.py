"""The peer's settings for each family: those that it publishes for the competition, and what suits one thread of a CPU.

``acasxu``: ``exp_configs/vnncomp21/acasxu.yaml`` with the splits of its automatic mode, ``sb``, in place of ``naive``, which bounds
twenty times as many domains; batches of 2048 cells, the best of 256 to 16384; 30 restarts of its attack, its default. ``mnistfc``:
``vnncomp21/mnistfc.yaml`` without the refinement by Gurobi. ``oval``: ``BICCOS/oval22/beta.yaml``. In both 20 steps of the first
ascent in place of 100 and a plain attack of few restarts before it, which halve the time, and batches of 256 domains.
"""

from typing import Any

CPU = {"device": "cpu", "complete_verifier": "bab"}
SETTINGS: dict[str, dict[str, Any]] = {
    "acasxu": {
        "general": CPU,
        "solver": {"batch_size": 2048, "bound_prop_method": "crown"},
        "bab": {
            "branching": {"method": "sb", "input_split": {"enable": True, "reorder_bab": True}},
            "clip_n_verify": {"clip_input_domain": {"enabled": True}},
        },
        "attack": {"pgd_order": "after", "pgd_restarts": 30, "pgd_restart_when_stuck": True},
    },
    "mnistfc": {
        "general": CPU,
        "solver": {
            "batch_size": 256,
            "alpha-crown": {"iteration": 20},
            "beta-crown": {"iteration": 20, "lr_beta": 0.03, "enable_opt_interm_bounds": False},
            "start_save_best": -1,
        },
        "bab": {"branching": {"candidates": 5, "reduceop": "max"}},
        "attack": {"pgd_order": "before", "pgd_restarts": 10},
    },
    "oval": {
        "general": CPU,
        "solver": {
            "batch_size": 256,
            "alpha-crown": {"iteration": 20},
            "beta-crown": {"lr_beta": 0.01},
            "start_save_best": -1,
        },
        "bab": {"interm_transfer": False, "branching": {"candidates": 10, "reduceop": "max"}},
        "attack": {"pgd_order": "before", "pgd_restarts": 10},
    },
}


def settings(family: str, seconds: float) -> dict[str, Any]:
    """The settings of a family with a limit of CPU seconds."""
    found = SETTINGS[family]
    return {**found, "bab": {**found["bab"], "timeout": seconds}}
