"""The support function, exact or bounded by prices."""
