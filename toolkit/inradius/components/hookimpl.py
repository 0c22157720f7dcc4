"""The markers of hooks: ``hookspec`` for the hooks that exist, ``hookimpl`` for a plugin's implementations."""

import pluggy

# the group of entry points, and the name under which pluggy keeps its marks
NAMESPACE = "inradius"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)
