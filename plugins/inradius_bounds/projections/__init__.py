"""Estimates of bounds from random projections."""
