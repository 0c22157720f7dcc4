"""Attacks that look into the network."""
