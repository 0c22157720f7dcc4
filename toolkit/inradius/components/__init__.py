"""Components: values with a spec, the hooks that bring them, and the registry that finds them by name."""
