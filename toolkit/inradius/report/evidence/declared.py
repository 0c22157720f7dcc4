"""Declared accuracies, beside what was found."""

from collections.abc import Mapping
from typing import Any

from inradius.arguments import told
from inradius.errors import InputError

# the accuracy that each metric names, as ``numbers.accuracies`` calls it
METRICS = {"certified": "lower", "attacked": "upper", "clean": "clean"}


def declarations(declared: Mapping[str, float], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A record for each declared accuracy: metric, threshold, what was found, and if it is met.

    met: the share of these examples reaches the threshold; met_by_interval: the lower end of its interval does, for the
    population that the examples were drawn from. Raises ``InputError`` for an unknown metric, and a threshold that is no share.
    """
    return [_declaration(metric, threshold, results) for metric, threshold in declared.items()]


def _declaration(metric: str, threshold: float, results: Mapping[str, Any]) -> dict[str, Any]:
    if metric not in METRICS:
        raise InputError(f"{metric!r} is not a metric that can be declared; allowed are {', '.join(METRICS)}")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise InputError(f"the threshold of {metric} is {told(threshold)}; allowed is a number between 0 and 1")
    found = results[METRICS[metric]]
    return {
        "metric": metric,
        "threshold": float(threshold),
        **{name: found[name] for name in ("value", "interval", "claim", "bounds")},
        "met": found["value"] >= threshold,
        "met_by_interval": found["interval"][0] >= threshold,
    }
