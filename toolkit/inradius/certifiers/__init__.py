"""Certifiers: the interface, properties, certificates, and the rules by which bounds pass a layer."""
