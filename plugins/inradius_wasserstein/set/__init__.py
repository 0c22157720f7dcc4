"""The Wasserstein ball as a component, its oracles, and the moves of mass that it allows."""
