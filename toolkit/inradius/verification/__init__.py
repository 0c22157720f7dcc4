"""Verification: a property of one input region is proved, refuted by a point, or left open when the time is over."""
