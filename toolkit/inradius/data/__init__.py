"""Labelled data: in memory, read lazily, or from numpy files."""
