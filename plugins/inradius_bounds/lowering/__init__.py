"""From recorded operators to affine steps and elementwise curves, which bounds can pass."""
