"""The backward pass: linear functions of a value, bounded by linear functions of the input."""
