"""The version of what plugins may use, and the check that a plugin was written for it."""

import ast
import importlib.util
import re
from pathlib import Path

from inradius._version import __version__
from inradius.errors import PluginError

# The first number changes where a plugin has to be changed, the second where something is added.
PLUGIN_API = "1.0"
# the name by which a plugin's module says which version it was written for
DECLARED = "inradius_api"

_VERSION = re.compile(r"(\d+)\.(\d+)")


def check_api(declared: object) -> None:
    """Raises ``PluginError`` where a plugin that declares this version of the API cannot be served; None declares none."""
    if declared is None:
        return
    asked = _VERSION.fullmatch(declared) if isinstance(declared, str) else None
    if asked is None:
        raise PluginError(f"it declares {DECLARED} = {declared!r}; allowed is a version like {PLUGIN_API!r}")
    major, minor = (int(part) for part in PLUGIN_API.split("."))
    if int(asked[1]) != major or int(asked[2]) > minor:
        remedy = (
            "a newer inradius" if (int(asked[1]), int(asked[2])) > (major, minor) else "a newer version of the plugin"
        )
        raise PluginError(
            f"it was written for version {declared} of the plugin API, and inradius {__version__} has version {PLUGIN_API}; "
            f"install {remedy}"
        )


def declared_unread(value: str) -> object:
    """The version that the module of an entry point declares, read from its source; None where it cannot be found.

    It is for a module that fails to import: one that was written for another version may lack a name of it.
    """
    try:
        spec = importlib.util.find_spec(value.split(":")[0])
        source = Path(spec.origin).read_text("utf-8") if spec is not None and spec.origin else ""
        for line in ast.parse(source).body:
            if isinstance(line, ast.Assign) and any(isinstance(t, ast.Name) and t.id == DECLARED for t in line.targets):
                return ast.literal_eval(line.value)
    except Exception:  # whatever is wrong with the module, its own error is told
        return None
    return None
