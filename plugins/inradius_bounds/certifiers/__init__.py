"""The certifiers, one a file, and what they share."""
