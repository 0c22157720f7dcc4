"""The certifiers, one a file, and their common parts."""
