"""Wasserstein generative adversarial networks."""
