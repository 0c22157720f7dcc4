"""Branch and bound: the set of inputs is split until each part is proved, or an input is found that violates the property."""
