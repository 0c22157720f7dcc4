"""The Wasserstein ball as a component, its oracles, and where mass may move."""
