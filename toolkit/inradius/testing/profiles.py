"""Two hypothesis profiles: ``dev`` repeats the same small examples, ``nightly`` searches at random."""

import os

from hypothesis import HealthCheck, Phase, settings


def register_profiles() -> str:
    """The name of the profile to load: ``INRADIUS_HYPOTHESIS_PROFILE``, else ``dev``; both profiles are registered.

    ``dev`` reports a failing case as it was found. ``nightly`` takes minutes to search for a simpler one.
    A ``conftest.py`` needs one line: ``hypothesis.settings.load_profile(register_profiles())``.
    """
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    settings.register_profile(
        "dev",
        derandomize=True,
        database=None,
        max_examples=8,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=slow,
    )
    settings.register_profile(
        "nightly", derandomize=False, max_examples=1000, deadline=None, print_blob=True, suppress_health_check=slow
    )
    return os.environ.get("INRADIUS_HYPOTHESIS_PROFILE", "dev")
