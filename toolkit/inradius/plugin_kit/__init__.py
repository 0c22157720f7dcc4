"""``write_plugin``: an installable distribution with a small working component of each kind that is asked for."""

from inradius.plugin_kit.kinds import KINDS as KINDS
from inradius.plugin_kit.write import write_plugin as write_plugin
