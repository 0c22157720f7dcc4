"""A plugin says which version of the API it was written for, and one that cannot be served is left out with a sentence."""

import pytest

from inradius import PLUGIN_API, PluginWarning
from inradius.components import registry
from inradius.components.plugins import installed

GOOD = """
import inradius

class Quiet(inradius.Objective):
    def __call__(self, logits, y, goal=None):
        return logits[:, 0]

@inradius.hookimpl
def objectives():
    return [Quiet]
"""


def failure(name):
    return next(plugin.failure for plugin in installed() if plugin.name == name)


@pytest.mark.parametrize("declared", ["", f"inradius_api = {PLUGIN_API!r}", "inradius_api = '1.0'"])
def test_a_plugin_of_this_version_or_of_none_is_served(install, declared):
    install("acme-quiet", "1.2", f"{GOOD}\n{declared}\n")
    assert "quiet" in registry.entries()


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("'99.0'", "it was written for version 99.0 of the plugin API, and inradius .* has version .*; install a newer inradius"),
        ("'1.99'", "it was written for version 1.99 .*; install a newer inradius"),
        ("'0.3'", "it was written for version 0.3 .*; install a newer version of the plugin"),
        ("1", r"it declares inradius_api = 1; allowed is a version like '1\.\d'"),
        ("'new'", "it declares inradius_api = 'new'; allowed is a version"),
    ],
)  # fmt: skip
# a module that needs what this version does not have fails before it can be asked
@pytest.mark.parametrize("broken", ["", "from inradius import a_name_that_comes_later"])
def test_another_version_is_left_out_with_a_sentence(install, declared, said, broken):
    install("acme-late", "3.0", f"{broken}\n{GOOD}\ninradius_api = {declared}\n")
    with pytest.warns(PluginWarning, match=f"'acme-late' of acme-late 3.0 failed to load and is left out: {said}"):
        assert "quiet" not in registry.entries()
    assert "\n" not in failure("acme-late")
    assert not failure("acme-late").startswith("PluginError")


def test_a_module_of_this_version_that_fails_tells_its_own_error(install):
    install("acme-bad", "1.0", f"1 / 0\ninradius_api = {PLUGIN_API!r}")
    with pytest.warns(PluginWarning, match="ZeroDivisionError"):
        installed()
