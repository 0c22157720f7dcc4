"""Fronts of certified training: what a network loses in accuracy on clean inputs for each certificate that it gains."""
