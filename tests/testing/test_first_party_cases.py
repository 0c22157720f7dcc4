"""The sets that ship have cases for ``inradius plugins --check``."""

import pytest

from inradius.testing.plugin_cases import plugin_cases


@pytest.mark.parametrize("name", ["lp", "sets", "union", "wasserstein"])
def test_every_component_of_a_plugin_of_sets_has_a_case(name):
    assert [case.problem for case in plugin_cases(name) if case.problem] == []
