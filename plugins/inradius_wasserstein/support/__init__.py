"""The support function: what the budget buys, exact or bounded by prices."""
