"""The engine of training: runs, their slots and options, and ``train``."""
