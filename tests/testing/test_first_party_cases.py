"""What ships has cases for ``inradius plugins --check``, and keeps its laws there."""

import contextlib
import unittest

import pytest

from inradius.components.plugins import installed
from inradius.testing.plugin_cases import plugin_cases, plugin_laws

OWN = sorted(plugin.name for plugin in installed() if plugin.distribution == "inradius")
# the others' laws are run by tests of their own
LOADED = ["architectures", "blackbox", "datasets", "gan", "models", "outcomes"]
# its file is read with a warning that its program runs
WARNS = "ignore:torchscript runs the program:UserWarning"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "models" else name for name in OWN]
)
def test_every_component_of_a_plugin_has_a_case(name):
    assert [case.problem for case in plugin_cases(name) if case.problem] == []


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNS)
@pytest.mark.parametrize("name", LOADED)
def test_what_a_plugin_loads_and_builds_keeps_its_laws(name):
    for case, law in plugin_laws(name):
        # what an absent library would load says so
        with contextlib.suppress(unittest.SkipTest):
            case.check(law, examples=2)


@pytest.mark.slow  # transformers take seconds to import
def test_what_needs_an_absent_library_is_not_checked():
    cases = {str(case).split("(")[0]: case for case in plugin_cases("models")}
    try:
        import timm  # noqa: F401
    except ImportError:
        with pytest.raises(unittest.SkipTest, match="timm"):
            cases["timm"].check(cases["timm"].laws()[0], examples=1)
    else:
        pytest.skip("timm is installed")
