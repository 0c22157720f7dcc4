"""Attacks: the interface, what an attack maximises, and the parts that attacks are built from."""
