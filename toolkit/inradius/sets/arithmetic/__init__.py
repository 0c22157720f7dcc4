"""Floating-point arithmetic that oracles share: sums with known errors, rounding to the safe side, work in blocks."""
